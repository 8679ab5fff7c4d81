/**
 * The JSON of an HTTP answer, or why there is none. Of what the other side said nothing gets into a message: it may
 * have repeated a header with a secret in it, or the input.
 */
import { isUtf8 } from "node:buffer";
import type { InferenceFailure } from "../failures.ts";
import type { HttpAnswer } from "./http-exchange.ts";

export type JsonAnswer = { readonly json: unknown; readonly text: string } | { readonly failed: JsonFailure };

export interface JsonFailure extends InferenceFailure {
  readonly code: "NOT_JSON" | "OUTPUT_REFUSED" | `HTTP_${number}`;
}

const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
const NAMED_TYPE = /^(?:text\/(?:html|plain|xml|event-stream)|application\/(?:xml|octet-stream|x-ndjson))(?=\s*(?:;|$))/i;
/** Says nothing of this request: another attempt may be answered otherwise. */
const PASSING = new Set([429, 500, 502, 503, 504]);
/** What Python writes for numbers that JSON does not have. */
const NO_NUMBER = /[[:,\s](?:NaN|-?Infinity)\s*[\],}]/;

/** An empty answer is `null`. `now`: milliseconds by the machine's clock. */
export function readJsonAnswer({ status, headers, body }: HttpAnswer, now: number): JsonAnswer {
  if (status < 200 || status > 299) {
    const message = status >= 300 && status < 400 ? `${status}: redirects are not followed.` : `The answer has status ${status}.`;
    const waitMs = retryAfterMs(headers["retry-after"], now);
    return failed(`HTTP_${status}`, message, PASSING.has(status), waitMs);
  }
  if (body.length === 0) return { json: null, text: "" };
  const type = headers["content-type"] ?? "";
  if (!JSON_TYPE.test(type)) return notJson(type === "" ? "The answer names no content type." : `The answer is ${typeName(type)}.`);
  if ((headers["content-encoding"] ?? "identity") !== "identity") return notJson("The answer is encoded, which was not asked for.");
  if (!isUtf8(body)) return notJson("The answer is not UTF-8.");
  const text = body.toString("utf8");
  try {
    return { json: JSON.parse(text), text };
  } catch {
    if (!NO_NUMBER.test(text)) return notJson("The answer cannot be parsed.");
    return failed("OUTPUT_REFUSED", "The answer has NaN or an infinity in it, which JSON has not.");
  }
}

function notJson(message: string): JsonAnswer {
  return failed("NOT_JSON", message);
}

function failed(code: JsonFailure["code"], message: string, again = false, waitMs = 0): JsonAnswer {
  return { failed: { code, message, again, waitMs } };
}

function typeName(type: string): string {
  return NAMED_TYPE.exec(type)?.[0].toLowerCase() ?? "of another type than application/json";
}

/** Seconds, or a date; 0 for anything else. */
function retryAfterMs(text: string | undefined, now: number): number {
  if (text === undefined) return 0;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}
