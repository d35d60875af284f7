'use strict';
// Stock socket.io-client sockets, as many as a test wants, driven by lines of JSON on standard input.
//
//   {"do":"open","client":"a","url":"http://127.0.0.1:3000","options":{...}}   options are io()'s
//   {"do":"ask","client":"a","id":1,"event":"room:list","args":[{}]}           with an ack callback
//   {"do":"send","client":"a","event":"room:list","args":[{}]}                 without
//   {"do":"lose"|"cut"|"disconnect"|"connect","client":"a"}  lose: the client's engine ends its transport;
//                                                            cut: the TCP connection of its WebSocket goes
//   {"do":"token","client":"a","token":"..."}              what the next connection shows
//   {"do":"state","client":"a","id":2}
//   {"do":"sign","id":3,"claims":{...},"secret":"...","options":{...}}         jsonwebtoken
//
// Each line on standard output is an answer {"id":1,"ack":{...}} or {"id":1,"fault":"..."}, or something
// that happened: {"client":"a","event":"room:message","args":[...]}, {"client":"a","on":"connect",...}.
// {"$binary":"<base64>"} stands for a Buffer, both ways.

const readline = require('node:readline');
const jwt = require('jsonwebtoken');
const { io } = require('socket.io-client');

const clients = new Map();

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function toJson(value) {
  if (Buffer.isBuffer(value)) return { $binary: value.toString('base64') };
  if (value instanceof ArrayBuffer) return toJson(Buffer.from(value));
  if (Array.isArray(value)) return value.map(toJson);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toJson(each)]));
  }
  return value;
}

function fromJson(value) {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== 'object') return value;
  if (typeof value.$binary === 'string') return Buffer.from(value.$binary, 'base64');
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, fromJson(each)]));
}

function watch(name, socket) {
  socket.onAny((event, ...args) => print({ client: name, event, args: toJson(args) }));
  let began = null;
  socket.io.on('open', () => {  // the engine may be upgraded before the socket is connected
    began = socket.io.engine.transport.name;
    socket.io.engine.once('upgrade', (transport) => {
      print({ client: name, on: 'upgrade', transport: transport.name });
    });
  });
  socket.on('connect', () => print({
    client: name, on: 'connect', id: socket.id, recovered: socket.recovered ?? false, began,
  }));
  socket.on('disconnect', (reason) => print({ client: name, on: 'disconnect', reason }));
  socket.on('connect_error', (error) => print({
    client: name, on: 'connect_error', message: error.message, data: error.data ?? null,
    type: error.type ?? null,
  }));
}

const actions = {
  open({ client, url, token, options }) {
    const entry = { token };
    entry.socket = io(url, {
      forceNew: true,
      reconnectionDelay: 50,
      reconnectionDelayMax: 500,
      auth: (give) => give(entry.token === undefined ? {} : { token: entry.token }),
      ...options,
    });
    clients.set(client, entry);
    watch(client, entry.socket);
  },
  ask({ client, id, event, args, timeout }) {
    clients.get(client).socket.timeout(timeout ?? 10000).emit(event, ...fromJson(args), (error, ...answer) => {
      print(error ? { id, fault: 'no acknowledgement' } : { id, ack: toJson(answer[0]), more: answer.length - 1 });
    });
  },
  send({ client, event, args }) {
    clients.get(client).socket.emit(event, ...fromJson(args));
  },
  lose({ client }) {
    clients.get(client).socket.io.engine.close();
  },
  cut({ client }) {
    clients.get(client).socket.io.engine.transport.ws.terminate();
  },
  disconnect({ client }) {
    clients.get(client).socket.disconnect();
  },
  connect({ client }) {
    clients.get(client).socket.connect();
  },
  token({ client, token }) {
    clients.get(client).token = token;
  },
  state({ client, id }) {
    const { socket } = clients.get(client);
    print({
      id,
      ack: {
        connected: socket.connected, id: socket.id ?? null, recovered: socket.recovered ?? false,
        transport: socket.io.engine?.transport?.name ?? null,
      },
    });
  },
  sign({ id, claims, secret, options }) {
    print({ id, ack: jwt.sign(claims, secret, options) });
  },
};

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  try {
    actions[order.do](order);
  } catch (error) {
    print({ id: order.id ?? null, fault: `${order.do}: ${error.stack}` });
  }
}).on('close', () => process.exit(0));
