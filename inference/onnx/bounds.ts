/** Bounds of models that run here, and how they hang together. */

/** Messages within messages; a graph within a node's attribute takes three. */
export const PROTOBUF_DEPTH_MAX = 100;
/** Numbers, strings and messages of one model; weights as raw bytes count as one. */
export const PROTOBUF_ITEMS_MAX = 8_000_000;

/** Bytes of a model: ONNX Runtime takes no file of 2 GiB, and a node holds it once per worker. */
export const CONTENT_MAX_BYTES = 1024 * 1024 * 1024;
/** Of it that is hashed at a time, while nothing else is done in the thread: less than a millisecond. */
export const PIECE_BYTES = 1024 * 1024;
/** Inputs and outputs that a serving may name. */
export const SERVING_TENSORS_MAX = 256;
/** Fields that one input may be put together from. */
export const SERVING_FIELDS_MAX = 4_096;
/** Labels of one output. */
export const SERVING_LABELS_MAX = 10_000;
/** Characters of a name, field or label in a serving. */
export const SERVING_NAME_MAX_CHARS = 512;

/** Elements of one input tensor for one input: an image of 512 x 512 with three channels. */
export const INPUT_ELEMENTS_MAX = 786_432;
/** Elements of one output tensor for one input: they become JSON in the log. */
export const OUTPUT_ELEMENTS_MAX = 65_536;
/** Elements with which the inputs of a run are enough: those behind them are run after it. */
export const RUN_ELEMENTS_MAX = 1024 * 1024;
/** Dimensions of a tensor. */
export const DIMENSIONS_MAX = 8;

/** Inputs of one call, unless a serving says less. */
export const BATCH_MAX = 256;
export const WORKERS_MAX = 16;
/** Calls that wait for a worker; batching keeps it near nothing. */
export const POOL_QUEUE_MAX = 64;
/** JavaScript memory of one worker; ONNX Runtime's own is not counted in it. */
export const WORKER_MEMORY_MB = 256;
/** Milliseconds in which a model has to load, and to have answered its trial. */
export const LOAD_MAX_MS = 120_000;

/** Pause before a worker that could not open its model tries again, doubled each time, in milliseconds. */
export const REOPEN_MS = 1_000;
export const REOPEN_MAX_MS = 60_000;

/** Inputs of the batch that is measured when a model is loaded. */
export const TRIAL_ROWS = 32;
export const TRIAL_RUNS = 60;
/** Milliseconds after which the measuring ends with what there is. */
export const TRIAL_MS = 100;
/** A model whose trial takes less is run in the thread itself. Measured: see `docs/inference.md`. */
export const THREAD_RUN_MAX_MS = 1;
/** … and is given batches of about so many milliseconds at the most: nothing else is done in the thread meanwhile. */
export const THREAD_BATCH_MAX_MS = 4;

/** Characters of a reason that ONNX Runtime gave. */
export const REASON_MAX_CHARS = 400;

if (INPUT_ELEMENTS_MAX > RUN_ELEMENTS_MAX) throw new Error("one input could be larger than a run");
if (TRIAL_ROWS > BATCH_MAX) throw new Error("the trial would be larger than any batch");
if (REOPEN_MS > REOPEN_MAX_MS) throw new Error("the first pause would be longer than the longest");
if (THREAD_BATCH_MAX_MS < THREAD_RUN_MAX_MS) throw new Error("a model of the thread could be given less than its trial");
