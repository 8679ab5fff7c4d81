/** Which API a command talks to, and who it says it is. */
import { readFileSync, statSync } from "node:fs";
import { TidemarkError } from "../../../runtime/errors.ts";
import { readConfig } from "../../../runtime/node/config.ts";
import { usageError } from "../framework/command.ts";
import type { CommonOptions } from "../framework/common-options.ts";
import { ApiClient } from "./api-client.ts";

type Env = Readonly<Record<string, string | undefined>>;

const TOKEN_FILE_BYTES_MAX = 4_096;

/** Throws USAGE_INVALID for an address that is none, CONFIG_INVALID for settings or a token that cannot be read. */
export function openApi(common: CommonOptions, env: Env): ApiClient {
  return new ApiClient(common.url === undefined ? urlOfSettings(env) : readUrl(common.url), readToken(common["token-file"], env));
}

function readUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.username !== "" || url.search !== "" || url.hash !== "")
    throw usageError(`--url "${text}": write http://host:port.`);
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function urlOfSettings(env: Env): string {
  const { httpHost, httpPort } = readConfig(env);
  if (httpPort === 0) throw usageError("TIDEMARK_HTTP_PORT=0 takes any port: write with --url which one the node has.");
  // What a node listens on everywhere is reached here.
  const host = httpHost === "0.0.0.0" ? "127.0.0.1" : httpHost === "::" ? "::1" : httpHost;
  return `http://${host.includes(":") ? `[${host}]` : host}:${httpPort}`;
}

/** Throws CONFIG_INVALID for a token that cannot be read. */
export function readToken(file: string | undefined, env: Env): string | undefined {
  const token = file === undefined ? env.TIDEMARK_TOKEN : readTokenFile(file);
  if (token === undefined || token === "") return undefined;
  if (/^[\x21-\x7e]+$/.test(token)) return token;
  throw new TidemarkError("CONFIG_INVALID", `${file ?? "TIDEMARK_TOKEN"}: a token is one word of visible ASCII characters.`);
}

function readTokenFile(file: string): string {
  try {
    if (statSync(file).size > TOKEN_FILE_BYTES_MAX) throw new Error(`it is over ${TOKEN_FILE_BYTES_MAX} bytes`);
    const token = readFileSync(file, "utf8").trim();
    if (token === "") throw new Error("it is empty");
    return token;
  } catch (error) {
    throw new TidemarkError("CONFIG_INVALID", `--token-file ${file}: ${error instanceof Error ? error.message : String(error)}.`);
  }
}
