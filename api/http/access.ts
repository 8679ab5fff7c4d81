/**
 * Who calls, and whether a browser was talked into calling.
 *
 * With a token file every route but a public one needs a token. Without one the API is open, and only ever listens on
 * loopback (`runtime/node/config.ts` refuses anything else); then a web page in a browser of this machine is the danger:
 * it is kept out by the Host it was loaded from and by the Origin it sends.
 */
import type { IncomingHttpHeaders } from "node:http";
import { HttpProblem } from "./problem.ts";
import { ROLES, type Role, type Route } from "./route.ts";
import type { Holder, TokenFile } from "./tokens.ts";

export interface Caller {
  /** The token's name, `loopback`, or `anonymous` on a public route. */
  readonly name: string;
  /** `undefined`: nothing but public routes. */
  readonly role: Role | undefined;
}

export interface Access {
  /** Refuses what a browser was talked into: 421 MISDIRECTED, 403 CROSS_ORIGIN. Asked for every request. */
  guard(method: string, headers: IncomingHttpHeaders): void;
  /** Throws 401 UNAUTHENTICATED. Asked for every request that is not to a public route. */
  identify(headers: IncomingHttpHeaders): Caller;
}

const REALM = 'Bearer realm="tidemark"';
const BEARER = /^Bearer +([A-Za-z0-9._~+/-]{1,512}=*)$/i;
/** Names and addresses by which only this machine is reached; a page from elsewhere has another in its Host. */
const LOOPBACK_HOST = /^(localhost|[a-z0-9-]+\.localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?$/i;
const LOOPBACK: Caller = { name: "loopback", role: "admin" };
export const ANONYMOUS: Caller = { name: "anonymous", role: undefined };

/** Everybody who reaches the loopback address is admin. */
export const openOnLoopback: Access = {
  guard(method, headers) {
    const { host, origin } = headers;
    if (host !== undefined && !LOOPBACK_HOST.test(host)) {
      throw new HttpProblem(421, "MISDIRECTED", "Without tokens the API answers to localhost, 127.0.0.1 and [::1] only.");
    }
    if (method === "GET" || method === "HEAD") return;
    const site = headers["sec-fetch-site"];
    const foreignSite = site !== undefined && site !== "same-origin" && site !== "none";
    if (foreignSite || (origin !== undefined && origin !== `http://${host}`)) {
      throw new HttpProblem(403, "CROSS_ORIGIN", "A page of another origin may not change anything here; give the API tokens.");
    }
  },
  identify: () => LOOPBACK,
};

export function withTokens(tokens: TokenFile): Access {
  return {
    guard: () => {},
    identify({ authorization }) {
      if (authorization === undefined) throw unauthenticated("Send a token: Authorization: Bearer <token>.", "");
      const token = BEARER.exec(authorization)?.[1];
      const holder: Holder | undefined = token === undefined ? undefined : tokens.find(token);
      if (holder === undefined) throw unauthenticated("The token is not one of this node's.", ', error="invalid_token"');
      return holder;
    },
  };
}

/** Throws 403 FORBIDDEN, naming the role that is needed. A caller without a role may nothing. */
export function authorise({ role }: Caller, needed: Route["role"]): void {
  if (needed === "public") return;
  if (role !== undefined && ROLES.indexOf(role) >= ROLES.indexOf(needed)) return;
  throw new HttpProblem(403, "FORBIDDEN", `This needs the role ${needed}; your token has ${role ?? "none"}.`, {
    "www-authenticate": `${REALM}, error="insufficient_scope", scope="${needed}"`,
  });
}

function unauthenticated(detail: string, more: string): HttpProblem {
  return new HttpProblem(401, "UNAUTHENTICATED", detail, { "www-authenticate": `${REALM}${more}` });
}
