/**
 * What a caller sent, checked against the route's schemas before the handler sees it: parameters, query and body.
 * The only place that reads them, so that no route can forget to. Every refusal is a 400, 413 or 415 that names what is wrong.
 */
import { TextDecoder } from "node:util";
import type { TObject, TSchema } from "typebox";
import { Compile } from "typebox/compile";
import { badRequest, HttpProblem } from "./problem.ts";
import type { Route } from "./route.ts";

export type Texts = Readonly<Record<string, string>>;

/** Arrays and objects within each other in a JSON body: far more than any real one, far less than a stack holds. */
const JSON_DEPTH_MAX = 64;
const QUERY_PARAMETERS_MAX = 50;
const JSON_MEDIA_TYPE = "application/json";
const UTF8 = new TextDecoder("utf-8", { fatal: true });

type Check = (value: unknown) => void;

export interface InputReader {
  readonly params: (given: Readonly<Record<string, unknown>>) => Texts;
  /** Takes the text behind the question mark. */
  readonly query: (search: string) => Readonly<Record<string, string | undefined>>;
  readonly body: (bytes: Buffer | undefined, contentType: string | undefined, contentEncoding: string | undefined) => unknown;
}

/** Compiles the schemas of a route once. Throws when its path and its schema name different parameters: a mistake of the table. */
export function inputReader(route: Route): InputReader {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]!).sort();
  if (
    inPath.join() !==
    Object.keys(route.params?.properties ?? {})
      .sort()
      .join()
  )
    throw new Error(`${route.method} ${route.path}: params must declare ${inPath.join(", ") || "nothing"}`);
  const checkParams = textsCheck(route.params, "path");
  const checkQuery = textsCheck(route.query, "query");
  const readBody = bodyReader(route);
  return {
    params(given) {
      const params = textRecord(Object.entries(given) as [string, string][]);
      checkParams(params);
      return params;
    },
    query(search) {
      const query = parseQuery(search);
      checkQuery(query);
      return query;
    },
    body: readBody,
  };
}

/** No prototype: a parameter called `constructor` that nobody gave is not there. */
function textRecord(entries: Iterable<readonly [string, string]>): Record<string, string> {
  const record = Object.create(null) as Record<string, string>;
  for (const [name, value] of entries) record[name] = value;
  return record;
}

function parseQuery(search: string): Texts {
  const query = textRecord([]);
  if (search === "") return query;
  const pairs = search.split("&", QUERY_PARAMETERS_MAX + 1).filter((pair) => pair !== "");
  if (pairs.length > QUERY_PARAMETERS_MAX) throw badRequest(`The query has more than ${QUERY_PARAMETERS_MAX} parameters.`);
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    const name = decode(at === -1 ? pair : pair.slice(0, at));
    if (name in query) throw badRequest(`${shown(name)}: give it once.`);
    query[name] = at === -1 ? "" : decode(pair.slice(at + 1));
  }
  return query;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    throw badRequest(`The query holds "${shown(text)}": write it as UTF-8, percent-encoded.`);
  }
}

/** Values arrive as texts; the schema sees a number or a boolean where it declares one. */
function textsCheck(schema: TObject | undefined, where: "path" | "query"): (given: Texts) => void {
  const properties = (schema?.properties ?? {}) as Readonly<Record<string, { readonly type?: unknown }>>;
  const names = Object.keys(properties);
  const check = schema === undefined ? undefined : checkOf(schema);
  return (given) => {
    const values: Record<string, unknown> = {};
    for (const name of Object.keys(given)) {
      if (!names.includes(name)) {
        throw badRequest(`${shown(name)}: this route takes ${names.length === 0 ? `no ${where} parameters` : `only ${names.join(", ")}`}.`);
      }
      values[name] = typedValue(given[name]!, properties[name]!.type);
    }
    check?.(values);
  };
}

function typedValue(text: string, type: unknown): unknown {
  if (type === "integer" && /^-?\d{1,16}$/.test(text)) return Number(text);
  if (type === "number" && /^-?\d{1,16}(\.\d{1,16})?$/.test(text)) return Number(text);
  if (type === "boolean" && (text === "true" || text === "false")) return text === "true";
  return text;
}

function checkOf(schema: TSchema): Check {
  const compiled = Compile(schema);
  return (value) => {
    if (compiled.Check(value)) return;
    const error = compiled.Errors(value)[0];
    const place = error?.instancePath.slice(1) ?? "";
    throw badRequest(`${place === "" ? "The value" : shown(place)}: ${error?.message ?? "is not as the schema asks"}.`);
  };
}

function bodyReader({ body, bodyOptional }: Route): InputReader["body"] {
  if (body === undefined) {
    return (bytes) => {
      if (bytes !== undefined && bytes.length > 0) throw badRequest("This route takes no body.");
      return undefined;
    };
  }
  const raw = "raw" in body ? (body.raw as readonly string[]) : undefined;
  const allowed = raw ?? [JSON_MEDIA_TYPE];
  const check = raw === undefined ? checkOf(body as TSchema) : undefined;
  return (bytes, contentType, contentEncoding) => {
    if (bodyOptional === true && (bytes === undefined || bytes.length === 0)) return undefined;
    if (contentEncoding !== undefined && contentEncoding.toLowerCase() !== "identity") {
      throw new HttpProblem(415, "UNSUPPORTED_ENCODING", "Send the body without Content-Encoding.");
    }
    if (!takes(allowed, contentType)) {
      throw new HttpProblem(415, "UNSUPPORTED_MEDIA_TYPE", `Content-Type: this route takes ${allowed.join(", ")}.`);
    }
    if (check === undefined) return bytes ?? Buffer.alloc(0);
    const value = parseJson(bytes ?? Buffer.alloc(0));
    check(value);
    return value;
  };
}

function takes(allowed: readonly string[], contentType: string | undefined): boolean {
  const type = contentType?.replace(/;.*/s, "").trim().toLowerCase();
  return allowed.some((pattern) => {
    if (pattern === "*/*") return true;
    if (type === undefined) return false;
    return pattern.endsWith("/*") ? type.startsWith(pattern.slice(0, -1)) : type === pattern.toLowerCase();
  });
}

function parseJson(bytes: Buffer): unknown {
  if (depthOf(bytes) > JSON_DEPTH_MAX) throw badRequest(`The body nests deeper than ${JSON_DEPTH_MAX} levels.`);
  try {
    return JSON.parse(UTF8.decode(bytes));
  } catch (error) {
    throw badRequest(`The body is no JSON in UTF-8: ${error instanceof Error ? error.message.slice(0, 200) : "unreadable"}.`);
  }
}

/** Greatest depth of brackets outside strings; right for JSON, and for anything else the parser refuses it. */
function depthOf(bytes: Buffer): number {
  let depth = 0;
  let greatest = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x5b || byte === 0x7b) greatest = Math.max(greatest, ++depth);
    else if (byte === 0x5d || byte === 0x7d) depth--;
  }
  return greatest;
}

/** A caller's text within an answer: short, and on one line. */
function shown(text: string): string {
  const line = text.replace(/\p{Cc}/gu, "?");
  return line.length > 60 ? `${line.slice(0, 60)}…` : line;
}
