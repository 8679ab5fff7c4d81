/** What is wrong with a serving that its schema cannot say: its URL, its secret, its pointers and its templates. */
import { ROW_ELEMENTS_MAX } from "./bounds.ts";
import { elementsOf } from "./datatypes.ts";
import { headerOf, requestUrl } from "./endpoint-url.ts";
import { readPointer } from "./json-pointer.ts";
import { readTemplate } from "./prompt-template.ts";
import type { KserveServing, RemoteServing } from "./remote-serving.ts";

/** What the exchange itself sets, or what would change where a request goes. */
const OWN_HEADERS = new Set(
  "accept accept-encoding connection content-length content-type expect host idempotency-key te transfer-encoding upgrade user-agent".split(
    " ",
  ),
);
/** Many write it as a part of the URL, and would ask on a path that has it twice. */
const OWN_VERSION: Readonly<Record<RemoteServing["kind"], string | undefined>> = {
  kserve: "/v2",
  "openai-chat": "/v1",
  "openai-embeddings": "/v1",
  json: undefined,
};
const LOOKS_SECRET = /key|token|secret|sig|pass|auth|cred/i;
const THIS_MACHINE = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export function servingFault(serving: RemoteServing): string | undefined {
  return urlFault(serving) ?? secretFault(serving) ?? kindFault(serving);
}

function urlFault(serving: RemoteServing): string | undefined {
  if (!URL.canParse(serving.url)) return "/url must be a URL";
  const { protocol, username, password, search, hash } = new URL(serving.url);
  if (protocol !== "http:" && protocol !== "https:") return "/url must begin with http:// or https://";
  if (username !== "" || password !== "")
    return "/url must have no user and no password in it: put them into a secret, and name that under /secret";
  if (search !== "" || hash !== "") return "/url must have no query and no fragment: a query belongs to /path";
  const own = OWN_VERSION[serving.kind];
  if (own !== undefined && serving.path === undefined && serving.url.replace(/\/+$/, "").endsWith(own))
    return `/url must end before ${own}, with which the protocol's own path begins`;
  const full = requestUrl(serving, "/");
  if (!URL.canParse(full)) return "/path must be a path";
  const asked = new URL(full);
  if (asked.origin !== new URL(serving.url).origin) return "/path must stay on the server of /url";
  for (const each of asked.searchParams.keys()) {
    if (LOOKS_SECRET.test(each))
      return `/path has "${each.slice(0, 40)}" in its query, which looks like a credential: put it into a secret, and name that under /secret`;
  }
  return undefined;
}

function secretFault({ url, secret }: RemoteServing): string | undefined {
  if (secret === undefined) return undefined;
  if (OWN_HEADERS.has(headerOf(secret))) return `/secret/header must not be ${headerOf(secret)}`;
  const { protocol, hostname } = new URL(url);
  if (protocol === "https:" || THIS_MACHINE.test(hostname) || secret.overHttp === true) return undefined;
  return "/secret goes out over https only, but to this machine; say overHttp: true where something else encrypts";
}

function kindFault(serving: RemoteServing): string | undefined {
  switch (serving.kind) {
    case "kserve":
      return tensorFault(serving);
    case "openai-chat":
      if (serving.content === "text" && serving.output !== undefined) return "/output is for content that is JSON";
      if (serving.content === "text" && (serving.responseFormat ?? "none") !== "none") return "/responseFormat is for content that is JSON";
      return (
        templateFault("/system", serving.system ?? "") ??
        templateFault("/user", serving.user) ??
        pointerFault("/output", serving.output ?? "")
      );
    case "openai-embeddings":
      return pointerFault("/text", serving.text);
    case "json":
      return pointerFault("/output", serving.output ?? "");
  }
}

function tensorFault({ inputs, outputs }: KserveServing): string | undefined {
  const names = inputs.map(({ tensor }) => tensor);
  if (new Set(names).size < names.length) return "/inputs name a tensor twice";
  if (new Set(outputs.map(({ to }) => to)).size < outputs.length) return "/outputs fill a field twice";
  for (const [i, input] of inputs.entries()) {
    if (elementsOf(input.shape ?? []) > ROW_ELEMENTS_MAX) return `/inputs/${i}/shape has more than ${ROW_ELEMENTS_MAX} elements`;
    for (const [j, each] of input.from.entries()) {
      const fault = pointerFault(`/inputs/${i}/from/${j}`, each);
      if (fault !== undefined) return fault;
    }
  }
  for (const [i, { shape: row = [], labels, to }] of outputs.entries()) {
    if (to === "__proto__" || labels?.includes("__proto__")) return `/outputs/${i} must not name anything __proto__`;
    const elements = elementsOf(row);
    if (elements > ROW_ELEMENTS_MAX) return `/outputs/${i}/shape has more than ${ROW_ELEMENTS_MAX} elements`;
    if (labels !== undefined && labels.length !== elements)
      return `/outputs/${i}/labels must be as many as the row has elements, which is ${elements}`;
  }
  return undefined;
}

function pointerFault(path: string, text: string): string | undefined {
  return readPointer(text) === undefined ? `${path} must be a JSON pointer, as "/field"` : undefined;
}

function templateFault(path: string, text: string): string | undefined {
  const read = readTemplate(text);
  return typeof read === "string" ? `${path} ${read}` : undefined;
}
