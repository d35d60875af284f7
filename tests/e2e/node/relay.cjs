'use strict';
// Both ends of one relay session, written from docs/PROTOCOL.md with node's own sockets. What two
// clients got as use:relay comes as JSON in the argument, and {"transport":"tcp"|"udp","bytes":...}.
// Each end sends that much of its own, and prints one line: what it sent and what it received, hashed.

const crypto = require('node:crypto');
const dgram = require('node:dgram');
const net = require('node:net');

const { ends, transport, bytes } = JSON.parse(process.argv[2]);

const hash = (data) => crypto.createHash('sha256').update(data).digest('hex');
const content = () => crypto.randomBytes(bytes);

function report(slot, sent, received) {
  process.stdout.write(`${JSON.stringify({ slot, sent: hash(sent), received: hash(received), bytes: received.length })}\n`);
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

// A JOIN line, then answer lines up to PAIRED; what comes behind is the peer's.
function overTcp({ server, port, token, slot }) {
  const sent = content();
  const socket = net.connect({ host: server, port, allowHalfOpen: true });
  let unread = Buffer.alloc(0);
  let paired = false;
  const received = [];
  socket.on('connect', () => socket.write(`TANDEM/1 JOIN ${token}\n`));
  socket.on('data', (chunk) => {
    if (paired) {
      received.push(chunk);
      return;
    }
    unread = Buffer.concat([unread, chunk]);
    for (let end = unread.indexOf('\n'); end >= 0 && !paired; end = unread.indexOf('\n')) {
      const line = unread.subarray(0, end).toString();
      unread = unread.subarray(end + 1);
      if (line.startsWith('TANDEM/1 ERR')) fail(line);
      paired = line === 'TANDEM/1 PAIRED';
    }
    if (paired) {
      received.push(unread);
      socket.end(sent);
    }
  });
  socket.on('end', () => report(slot, sent, Buffer.concat(received)));
  socket.on('error', (error) => fail(`slot ${slot}: ${error.message}`));
}

const BIND = 0x05;
const CHALLENGE = 0x06;
const BOUND = 0x07;
const DATA = 0x08;
const ERROR = 0x0c;
const CHUNK = 1000;

// Binds by cookie and proof, then sends numbered datagrams until the peer has confirmed each: a
// datagram may be lost, so each is sent again now and then.
function overUdp({ server, port, token, slot }) {
  const raw = Buffer.from(token, 'base64url');
  const claims = raw.subarray(0, 24);
  const secret = raw.subarray(24);
  const shardKey = claims[15];
  const nonce = crypto.randomBytes(8);
  const socket = dgram.createSocket('udp4');
  const sent = content();
  const chunks = [];
  for (let at = 0; at < sent.length; at += CHUNK) chunks.push(sent.subarray(at, at + CHUNK));
  const waiting = new Set(chunks.keys());
  const received = new Map();
  let cookie = Buffer.alloc(16);
  let channel = null;
  let paired = false;
  let reported = false;

  const put = (packet) => socket.send(packet, port, server);

  function bind() {
    const head = Buffer.concat([Buffer.from([BIND, shardKey, 0, 0]), nonce, claims, cookie]);
    const proof = cookie.equals(Buffer.alloc(16))
      ? Buffer.alloc(16)
      : crypto.createHmac('sha256', secret).update(head).digest().subarray(0, 16);
    put(Buffer.concat([head, proof, Buffer.alloc(96 - 68)]));
  }

  function data(kind, number, payload = Buffer.alloc(0)) {
    const head = Buffer.from([DATA, shardKey, 0, 0, 0, 0, 0, 0, kind, 0, 0, 0, 0]);
    channel.copy(head, 4);
    head.writeUInt32BE(number, 9);
    put(Buffer.concat([head, payload]));
  }

  function onData(packet) {
    if (!packet.subarray(4, 8).equals(channel)) fail(`slot ${slot}: another channel`);
    const number = packet.readUInt32BE(9);
    if (packet[8] === 1) {
      waiting.delete(number);
    } else {
      received.set(number, packet.subarray(13));
      data(1, number);
    }
    if (!reported && waiting.size === 0 && received.size === chunks.length) {
      reported = true;
      const inOrder = [...received.keys()].sort((a, b) => a - b).map((key) => received.get(key));
      report(slot, sent, Buffer.concat(inOrder));
      setTimeout(() => socket.close(), 1000); // the last confirmations still have to be sent
      clearInterval(timer);
    }
  }

  socket.on('message', (packet) => {
    if (packet[1] !== shardKey) fail(`slot ${slot}: a foreign shard key`);
    if (packet[0] === CHALLENGE && packet.subarray(4, 12).equals(nonce)) {
      cookie = Buffer.from(packet.subarray(12, 28));
      bind();
    } else if (packet[0] === BOUND && packet.subarray(4, 12).equals(nonce)) {
      if (packet[3] !== slot) fail(`slot ${slot}: bound as ${packet[3]}`);
      channel = Buffer.from(packet.subarray(12, 16));
      paired = packet[2] === 1;
    } else if (packet[0] === DATA && channel !== null) {
      onData(packet);
    } else if (packet[0] === ERROR) {
      fail(`slot ${slot}: ERROR ${packet[2]}`);
    }
  });
  const timer = setInterval(() => {
    if (!paired) bind();
    else [...waiting].slice(0, 64).forEach((number) => data(0, number, chunks[number]));
  }, 20);
  bind();
}

setTimeout(() => fail('not done in 30 s'), 30000).unref();
ends.forEach(transport === 'tcp' ? overTcp : overUdp);
