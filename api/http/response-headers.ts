/** What every answer carries, whoever makes it. */
import type { Socket } from "node:net";
import { HttpProblem, PROBLEM_MEDIA_TYPE, problemDocument } from "./problem.ts";

/** Answers are for programs: no browser is to guess their type, frame, run, cache or share them. */
export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

/** What Node refuses before there is a request: text that is no HTTP, headers over its bound, one that never ends. */
export function refuseOnSocket(error: NodeJS.ErrnoException & { readonly rawPacket?: unknown }, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = problemOnSocket(error.code);
  const body = JSON.stringify(problemDocument(problem));
  const head = { ...SECURITY_HEADERS, connection: "close", "content-type": PROBLEM_MEDIA_TYPE, "content-length": String(body.length) };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}\r\n`);
  const { title } = problemDocument(problem);
  // As far as one can tell: an answer to a HEAD that had a body would be taken for the next one.
  const { rawPacket } = error;
  const isHead = Buffer.isBuffer(rawPacket) && rawPacket.subarray(0, HEAD.length).equals(HEAD);
  socket.end(`HTTP/1.1 ${problem.status} ${title}\r\n${lines.join("")}\r\n${isHead ? "" : body}`);
}

const HEAD = Buffer.from("HEAD ");

function problemOnSocket(code: string | undefined): HttpProblem {
  if (code === "HPE_HEADER_OVERFLOW") return new HttpProblem(431, "HEADERS_TOO_LARGE", "Path and headers together are over 16 KiB.");
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return new HttpProblem(408, "REQUEST_TIMEOUT", "The request did not arrive in time.");
  return new HttpProblem(400, "BAD_REQUEST", "This is no HTTP request.");
}
