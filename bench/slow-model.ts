/** A model at a server, in a process of its own: `{"score": 0.5}` after so many milliseconds, however many ask. Tells its port. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const ms = Number(process.argv[2]);
const server = createServer((request, response) => {
  request.resume().on("end", () => {
    setTimeout(() => response.writeHead(200, { "content-type": "application/json" }).end('{"score":0.5}'), ms);
  });
});
server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));
