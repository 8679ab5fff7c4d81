/** Every bound of models behind servers, and how they hang together. */
import { CALL_INPUT_MAX_BYTES } from "../../actors/fold/bounds.ts";

/** Body of an answer, as it comes: room for a batch of embeddings. */
export const RESPONSE_MAX_BYTES = 8 * 1024 * 1024;
/** Inputs that one request may carry. */
export const BATCH_MAX = 256;
/** … when the record does not say. */
export const BATCH_DEFAULT = 32;
/** Further requests for a batch that was refused, to find the rows that it was refused for: enough for one row in BATCH_MAX. */
export const SPLIT_REQUESTS_MAX = 16;
/** One request with its answer, when the record does not say. */
export const TIMEOUT_DEFAULT_MS = 30_000;
export const TIMEOUT_MAX_MS = 600_000;
/** Idle connections are closed before most servers would: a request on a connection that the other side is closing is lost. */
export const IDLE_CONNECTION_MS = 4_000;
/** Idle connections that are kept for one origin. */
export const IDLE_CONNECTIONS_MAX = 32;
/** Characters of a URL, and of a path. */
export const URL_MAX_CHARS = 2_048;
/** Characters of one prompt once the input is in it. */
export const PROMPT_MAX_CHARS = 4 * CALL_INPUT_MAX_BYTES;
/** Characters of a template of a prompt. */
export const TEMPLATE_MAX_CHARS = 32 * 1024;
/** Tokens that an answer may be asked to have. */
export const TOKENS_MAX = 1_000_000;
/** Tensors of a request, and of an answer. */
export const TENSORS_MAX = 64;
/** Elements that one row of a tensor may have. */
export const ROW_ELEMENTS_MAX = 65_536;
/** Numbers of an embedding. */
export const DIMENSIONS_MAX = 8_192;
/** A secret shorter than this is not looked for in answers: it would be found in innocent ones. */
export const ECHO_MIN_CHARS = 8;

if (2 ** (SPLIT_REQUESTS_MAX / 2) < BATCH_MAX) throw new Error("one bad row of a batch could not be found");
if (BATCH_DEFAULT > BATCH_MAX) throw new Error("the usual batch would be over the bound");
if (TIMEOUT_DEFAULT_MS > TIMEOUT_MAX_MS) throw new Error("the usual timeout would be over the bound");
if (TEMPLATE_MAX_CHARS + CALL_INPUT_MAX_BYTES > PROMPT_MAX_CHARS)
  throw new Error("a template that names each field once could not be filled");
