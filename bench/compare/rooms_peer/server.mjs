// npm's socket.io server with the room events that tandem-bench sends, as a service would write it:
// to measure a room service beside. At its best setting: WebSocket alone, no compression, no
// connection state recovery, ws's native addon where it is installed. One process, one core, as
// Node.js has it.
//
// usage: node server.mjs PORT SECRET_FILE

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import process from "node:process";
import jwt from "jsonwebtoken";
import { Server } from "socket.io";

const [port, secretFile] = process.argv.slice(2);
const secret = readFileSync(secretFile, "utf8").trim();
const claims = { algorithms: ["HS256"], issuer: "sudachi-rooms", audience: "sudachi-multiplayer" };
const PLAYERS_MAX = 8;

const http = createServer((request, response) => {
  response.writeHead(request.url === "/health" ? 200 : 404).end();
});
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
  pingInterval: 25_000,
  pingTimeout: 30_000,
});

const rooms = new Map();

io.use((socket, next) => {
  try {
    socket.data.clientId = jwt.verify(socket.handshake.auth.token, secret, claims).sub;
    next();
  } catch {
    const refused = new Error("authentication failed");
    refused.data = { code: "AUTH_FAILED", message: refused.message };
    next(refused);
  }
});

const shown = room => ({
  id: room.id, name: room.name, gameId: room.gameId, hostId: room.hostId,
  currentPlayers: room.members.size, maxPlayers: room.maxPlayers, visibility: room.visibility,
  createdAt: room.createdAt,
});
const player = (socket, seat) => ({ clientId: socket.data.clientId, playerId: seat });

function refuse(socket, ack, code, message) {
  const error = { code, message };
  if (typeof ack === "function") ack({ success: false, error });
  else socket.emit("error", error);
}

function leave(socket, room, reason) {
  room.members.delete(socket.data.clientId);
  socket.leave(room.id);
  if (room.members.size === 0) {
    rooms.delete(room.id);
    return;
  }
  if (room.hostId === socket.data.clientId) room.hostId = room.members.keys().next().value;
  io.to(room.id).emit("player:left", { roomId: room.id, clientId: socket.data.clientId, reason });
}

io.on("connection", socket => {
  const clientId = socket.data.clientId;
  const own = new Set(); // the rooms that it is in

  socket.emit("connected", { clientId, serverTime: Date.now(), serverVersion: "npm" });

  socket.on("room:create", (request, ack) => {
    const { name, gameId } = request ?? {};
    if (typeof name !== "string" || name === "" || name.length > 128) {
      return refuse(socket, ack, "BAD_REQUEST", "name");
    }
    const room = {
      id: randomUUID(), name, gameId: String(gameId), hostId: clientId,
      maxPlayers: Math.min(request.maxPlayers ?? PLAYERS_MAX, PLAYERS_MAX),
      visibility: request.visibility ?? "public", createdAt: Date.now(),
      seq: 0, members: new Map([[clientId, 0]]),
    };
    rooms.set(room.id, room);
    own.add(room);
    socket.join(room.id);
    const answer = { success: true, room: shown(room) };
    socket.emit("room:created", answer);
    if (typeof ack === "function") ack(answer);
  });

  socket.on("room:join", (request, ack) => {
    const room = rooms.get(request?.roomId);
    if (!room) return refuse(socket, ack, "NOT_FOUND", "no such room");
    if (room.members.size >= room.maxPlayers) return refuse(socket, ack, "ROOM_FULL", "full");
    const seat = room.members.size;
    io.to(room.id).emit("player:joined", { roomId: room.id, player: player(socket, seat) });
    room.members.set(clientId, seat);
    own.add(room);
    socket.join(room.id);
    const players = [...room.members].map(([id, its]) => ({ clientId: id, playerId: its }));
    const answer = { success: true, room: shown(room), players, self: player(socket, seat) };
    socket.emit("room:joined", answer);
    if (typeof ack === "function") ack(answer);
  });

  socket.on("room:message", (request, ack) => {
    const room = rooms.get(request?.roomId);
    if (!room?.members.has(clientId)) return refuse(socket, ack, "NOT_IN_ROOM", "not in it");
    room.seq += 1;
    io.to(room.id).emit("room:message",
      { roomId: room.id, from: clientId, seq: room.seq, data: request.data });
    if (typeof ack === "function") ack({ success: true });
  });

  socket.on("room:leave", (request, ack) => {
    const room = rooms.get(request?.roomId);
    if (!room?.members.has(clientId)) return refuse(socket, ack, "NOT_IN_ROOM", "not in it");
    own.delete(room);
    leave(socket, room, "left");
    const answer = { success: true, roomId: room.id };
    socket.emit("room:left", answer);
    if (typeof ack === "function") ack(answer);
  });

  socket.on("disconnect", () => {
    for (const room of own) leave(socket, room, "disconnected");
  });
});

http.listen({ port: Number(port), host: "127.0.0.1", backlog: 4096 });
for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => process.exit(0));
