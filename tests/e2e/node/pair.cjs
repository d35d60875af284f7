'use strict';
// Two good clients in one room: the host says something 50 times a second, whatever becomes of what it
// said before. Prints {"ready":true}; each line on standard input is answered by what was measured since the
// line before: {"sent":250,"acked":250,"heard":250,"p50":0.4,"p99":1.2,"max":3.1,"drops":0}, milliseconds
// from the sending to the later of acknowledgement and arrival at the other one.

const readline = require('node:readline');
const { io } = require('socket.io-client');

const { url, tokens } = JSON.parse(process.argv[2]);
const INTERVAL_MS = 20;

const [host, guest] = tokens.map((token) => io(url, {
  forceNew: true, auth: { token }, transports: ['websocket'], reconnectionDelay: 50,
}));
const ids = [];
let lap;
let number = 0;

function startLap() {
  lap = { sent: new Map(), done: [], acked: 0, heard: 0, drops: 0 };
}

function finish(of, n, what) {
  const entry = of.sent.get(n);
  if (entry === undefined) return;
  of[what] += 1;
  entry.left -= 1;
  if (entry.left === 0) of.done.push(performance.now() - entry.at);
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;

async function endLap() {
  const ended = lap;
  startLap();
  const deadline = performance.now() + 5000;
  while (ended.done.length < ended.sent.size && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const sorted = ended.done.sort((a, b) => a - b);
  process.stdout.write(`${JSON.stringify({
    sent: ended.sent.size, acked: ended.acked, heard: ended.heard, drops: ended.drops,
    p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) ?? null,
  })}\n`);
}

async function main() {
  await Promise.all([host, guest].map((socket, index) => new Promise((resolve) => {
    socket.once('connected', ({ clientId }) => {
      ids[index] = clientId;
      resolve();
    });
  })));
  const { room } = await host.emitWithAck('room:create', { name: 'The good pair', gameId: 'pair' });
  await guest.emitWithAck('room:join', { roomId: room.id });
  const laps = new Map();
  [host, guest].forEach((socket) => socket.on('disconnect', () => { lap.drops += 1; }));
  guest.on('room:message', ({ from, data }) => {
    if (from === ids[0]) finish(laps.get(data.n), data.n, 'heard');
  });
  startLap();
  setInterval(() => {
    const n = number;
    number += 1;
    const mine = lap;
    mine.sent.set(n, { at: performance.now(), left: 2 });
    laps.set(n, mine);
    laps.delete(n - 2000);
    host.emit('room:message', { roomId: room.id, data: { n } }, (ack) => {
      if (ack.success) finish(mine, n, 'acked');
    });
  }, INTERVAL_MS);
  process.stdout.write(`${JSON.stringify({ ready: true, roomId: room.id })}\n`);
}

readline.createInterface({ input: process.stdin }).on('line', endLap).on('close', () => process.exit(0));
main();
