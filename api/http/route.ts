/**
 * What a route of the API is: a record, so that one table gives the server, the authorisation, the OpenAPI document
 * and the tests that go over all of them. A route without a role cannot be written.
 */
import type { Readable } from "node:stream";
import type { TObject, TSchema } from "typebox";

export const ROLES = ["viewer", "operator", "admin"] as const;
/** Each may do what the one before may. */
export type Role = (typeof ROLES)[number];

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** As OpenAPI writes it: `/v1/shards/{job}/{shard}`. */
  readonly path: string;
  /** The least role that may call it; `public` needs no token even where tokens are asked for. */
  readonly role: Role | "public";
  readonly summary: string;
  readonly params?: TObject;
  /** Values arrive as texts; one given twice is refused. */
  readonly query?: TObject;
  /** A JSON body by its schema, or `raw`: the bytes, at most `bodyMaxBytes`, with the media types that are taken. */
  readonly body?: TSchema | { readonly raw: readonly string[] };
  /** A JSON body that may be left out: the handler then gets undefined. */
  readonly bodyOptional?: boolean;
  /** Default 1 MiB. */
  readonly bodyMaxBytes?: number;
  /** Successful answers by status: a JSON schema, or a media type for what is no JSON. */
  readonly answers: Readonly<Record<number, TSchema | string>>;
  /** A command: it honours `Idempotency-Key`. */
  readonly command?: boolean;
  /** Long-lived (SSE) or waiting: exempt from the request timeout, counted against a bound of its own. */
  readonly long?: boolean;
  /** Answered also while other reads are shed: how an operator sees why. Cheap, and asked rarely. */
  readonly essential?: boolean;
  readonly handle: (request: RouteRequest) => Promise<RouteAnswer>;
}

export interface RouteRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Checked against the schema, or a Buffer for `raw`; undefined when the route takes none. */
  readonly body: unknown;
  /** Who asks: the token's name, or `loopback`. */
  readonly who: string;
  /** Aborted when the caller is gone or the node stops. */
  readonly signal: AbortSignal;
}

export interface RouteAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** JSON unless the route's answer names a media type; a stream is piped. */
  readonly body?: unknown | Readable | string;
}
