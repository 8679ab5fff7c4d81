/** Every bound of the inference process and of the way to it, and how they hang together. */
import { CALL_INPUT_MAX_BYTES, EVENT_MAX_BYTES } from "../../actors/fold/bounds.ts";
import type { Lane } from "./messages.ts";

/** Payload of one frame. */
export const FRAME_MAX_BYTES = 8 * 1024 * 1024;
/** With so many characters in it a frame takes no more, so that a long one does not keep short ones waiting. */
export const FRAME_AIM_CHARS = 256 * 1024;
/** Payload of a frame from somebody who has not shown the token yet. */
export const HELLO_MAX_BYTES = 4 * 1024;
/** In which the token has to be shown, in milliseconds. */
export const HELLO_WITHIN_MS = 5_000;
/** More threads and callers than any node has. */
export const CONNECTIONS_MAX = 256;
/** Requests of one connection that are not answered yet: of eight shards all that each may ask of one model, so that a slow one leaves room. */
export const IN_FLIGHT_MAX: Readonly<Record<Lane, number>> = { stream: 4_096, "on-demand": 64 };
/** Requests that a client holds and has not sent: all that the shards of one thread have under way, however many they are. */
export const UNSENT_MAX = 65_536;
/** Characters of them. */
export const UNSENT_MAX_CHARS = 64 * 1024 * 1024;
/** Input of a request, in UTF-16 units. Calls of handlers have less; what is asked on demand is told. */
export const INPUT_MAX_CHARS = 512 * 1024;
/** Id of a request, name of a model, name of a tenant. */
export const NAME_MAX_CHARS = 1_024;
/** One answer as JSON, in UTF-16 units. */
export const ANSWER_MAX_CHARS = EVENT_MAX_BYTES + 4 * 1024;
/** Answers that a client has not taken: with so many bytes its requests are not read, until it takes some … */
export const UNTAKEN_PAUSE_BYTES = 8 * 1024 * 1024;
/** … and with so many it is cut off. */
export const UNTAKEN_MAX_BYTES = 256 * 1024 * 1024;
/** How often a request is sent to processes that end before they could have begun it. */
export const SENDS_MAX = 16;
/** Pause before the second try to connect, doubled for each further one, in milliseconds. */
export const CONNECT_BACKOFF_MS = 20;
export const CONNECT_BACKOFF_MAX_MS = 1_000;
/** How late a deadline may be noticed, in milliseconds. */
export const DEADLINE_LOOK_MS = 50;

/** Versions of models that are open, or were found broken a moment ago. */
export const MODELS_MAX = 64;
/** Runs of one model that were begun and have not ended, cancelled ones included that go on all the same. */
export const RUNS_MAX = 16_384;
/** In which a model has to be ready, in milliseconds: large ones are read for a while. */
export const OPEN_WITHIN_MS = 120_000;
/** How long a model that could not be opened is not tried again, in milliseconds. */
export const BROKEN_MS = 5_000;
/** The same for one that is not there: it may be put at any moment. */
export const UNKNOWN_MS = 500;
/** Models that are measured, each for itself; of the rest only sums. */
export const MEASURED_MAX = 256;
/** Codes of failures that are counted of one model, each for itself. */
export const CODES_MAX = 64;

/** Answers that are kept of one version of a model. */
export const CACHED_MAX_BYTES = 8 * 1024 * 1024;
/** Calls at a time of a server's model that takes batches. */
export const BATCHED_CALLS = 8;

/** Inferences asked on demand that are run at once, of all connections and models together. */
export const ON_DEMAND_PLACES = 32;
/** Inferences asked on demand that wait. */
export const ON_DEMAND_WAITING_MAX = 128;

/** Requests that wait to be run alone. */
export const ALONE_WAITING_MAX = 4_096;
/** How long the process for them is kept when none waits, in milliseconds: whoever asks for one after the other pays for one start. */
export const ALONE_IDLE_MS = 3_000;
/** Starts in a row of a process that ended before it could be told anything. */
export const ALONE_STARTS_MAX = 3;
/** Of one that runs alone, from its turn to its answer, its model opened anew, in milliseconds: the others wait for it. */
export const TRIAL_MAX_MS = OPEN_WITHIN_MS + 60_000;
/** Versions of models of which it is known where they run. */
export const PLACES_KNOWN_MAX = 1_000;
/** Deaths of its own process that convict a request. */
export const DEATHS_MAX = 2;
/** Trials of one suspect, those included that ended for a reason of another. */
export const TRIALS_MAX = 4;

/** Every so many milliseconds the process shows that it is not stuck. */
export const ALIVE_EVERY_MS = 250;
/** Every so many milliseconds it is looked whether the parent is still there. */
export const ORPHAN_LOOK_MS = 500;

/** Ids and framing of a request or an answer. */
const ITEM_FRAME_CHARS = 4 * NAME_MAX_CHARS * 6 + 1_024;
/** A character is at most six bytes as JSON, and three in text that is JSON already. */
const REQUEST_MAX_BYTES = INPUT_MAX_CHARS * 6 + ITEM_FRAME_CHARS;
const ANSWER_MAX_BYTES = ANSWER_MAX_CHARS * 3 + ITEM_FRAME_CHARS;

if (FRAME_AIM_CHARS * 3 + REQUEST_MAX_BYTES > FRAME_MAX_BYTES) throw new Error("a request could be too large for a frame");
if (FRAME_AIM_CHARS * 3 + ANSWER_MAX_BYTES > FRAME_MAX_BYTES) throw new Error("an answer could be too large for a frame");
if (CALL_INPUT_MAX_BYTES > INPUT_MAX_CHARS) throw new Error("a handler could ask what cannot be sent");
if (UNSENT_MAX_CHARS < INPUT_MAX_CHARS * 2 + ITEM_FRAME_CHARS) throw new Error("a request could never be taken");
if (RUNS_MAX < IN_FLIGHT_MAX.stream) throw new Error("one thread could ask for more than is taken");
if (HELLO_MAX_BYTES > FRAME_MAX_BYTES) throw new Error("a hello could be larger than a frame");
if (UNTAKEN_PAUSE_BYTES < FRAME_MAX_BYTES) throw new Error("one frame could stop the reading");
if (TRIALS_MAX < DEATHS_MAX) throw new Error("no suspect could be convicted");
