/**
 * A model at a server, in a process of its own: `{"score": 0.5}` after so many milliseconds, however many ask; for a question
 * with `rows`, `{"scores": […]}` with one of each row's id. Tells its port.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { json } from "node:stream/consumers";

const ms = Number(process.argv[2]);
const server = createServer(async (request, response) => {
  const { rows } = (await json(request)) as { readonly rows?: readonly { readonly id: string }[] };
  const answer = rows === undefined ? { score: 0.5 } : { scores: rows.map(({ id }) => ({ id, score: 0.5 })) };
  setTimeout(() => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer)), ms);
});
server.listen(0, "127.0.0.1", () => process.send!((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));
