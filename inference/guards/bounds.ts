/** Every bound of the guards around models, and how they hang together. What a model's settings may change is named a default. */

/** How often a question is asked. */
export const ATTEMPTS_MAX = 3;
/** Pause before the second attempt, at most; doubled for each further one. */
export const BACKOFF_MS = 200;

/** Outcomes of an endpoint that are looked at, the newest. */
export const CIRCUIT_WINDOW = 50;
/** Fewer outcomes say nothing of a share. */
export const CIRCUIT_OUTCOMES_MIN = 20;
/** Share of failures in the window that opens a circuit. */
export const CIRCUIT_SHARE = 0.5;
/** Failures one behind the other that open it. */
export const CIRCUIT_CONSECUTIVE = 5;
/** How long it is left alone at first; doubled each time that its probes fail. */
export const CIRCUIT_OPEN_MS = 5_000;
export const CIRCUIT_OPEN_MAX_MS = 60_000;
/** Probes at one time, and successes that close it. */
export const CIRCUIT_PROBES = 3;

/** Questions of one model that are being answered. */
export const PLACES_DEFAULT = 64;
/** Questions of one model that wait for a place: all that shards have under way at a time, for what they ask is to wait and not to fail. */
export const WAITING_DEFAULT = 16_384;
/** … and of those that come over the API, which have places of their own. */
export const ON_DEMAND_PLACES_DEFAULT = 8;
export const ON_DEMAND_WAITING_DEFAULT = 64;

/** Tenants, and keys, whose rates are known; one that is forgotten begins anew with a full bucket. */
export const RATED_MAX = 10_000;
/** Questions that wait for their time, of one model: as many as may wait for a place. */
export const RATE_WAITING_MAX = 16_384;

if (CIRCUIT_OUTCOMES_MIN > CIRCUIT_WINDOW) throw new Error("a circuit could not open by its share");
if (CIRCUIT_CONSECUTIVE > CIRCUIT_WINDOW) throw new Error("the window has not as many outcomes as have to fail");
if (CIRCUIT_OPEN_MS > CIRCUIT_OPEN_MAX_MS) throw new Error("a circuit would stay open for longer than the longest time");
