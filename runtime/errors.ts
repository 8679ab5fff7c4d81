/**
 * Errors with a stable code and what to do. Every code has a page in `docs/errors/`; a test keeps both equal.
 * A retired code is never used again. What crosses a thread is the record, not the class.
 */
export const ERRORS = {
  APP_INVALID: "The app cannot be loaded, or is none. Correct the file that the message names.",
  API_UNEXPECTED: "What answers is no Tidemark API, or one of another version. Check the address given with --url.",
  API_UNREACHABLE: "The API does not answer. Start a node, or say where it is with TIDEMARK_HTTP_PORT or --url.",
  CODE_UNAVAILABLE:
    "The code of the epoch that governs the next entry is not this build. Start the build that the message names; to go on with another, let that one hand over with `tidemark upgrade`.",
  CODE_VERSION_UNCHANGED:
    "The code changed and its version did not. Start the build that ran before; to go on with the changed code, raise the version and let that build hand over with `tidemark upgrade`.",
  CONFIG_INVALID: "A setting is unknown or malformed. Correct the setting that the message names.",
  CRASH_LOOP: "The node keeps dying. Look at the last error above; the data directory is intact.",
  DATA_DIR_LOCKED: "Another process uses this data directory. Stop it, or give this node a directory of its own with TIDEMARK_DATA_DIR.",
  DATA_DIR_UNWRITABLE: "The data directory cannot be written. Give a writable one with TIDEMARK_DATA_DIR.",
  EVENT_INVALID: "What was sent is no CloudEvent with a key. Correct what the message names and send it again.",
  EVENT_TOO_LARGE: "The event is over 512 KiB. Publish a reference to the large part instead.",
  FEATURE_TAKEN:
    "The feature is another job's: two jobs would overwrite each other's values. Rename the feature in one of them, or hand it over as the page of this code says.",
  FEATURES_FAILED:
    "Features cannot be written for a reason that nobody foresaw. Shards and outputs are not concerned, and the sink goes on trying; report the text in the node's log.",
  FEATURES_LAYOUT:
    "The bucket of the features does not let messages expire one by one. Allow it, or delete the bucket and let Tidemark create it.",
  FOLDER_NOT_EMPTY: "A new project goes into an empty folder. Name one that is empty or not there yet.",
  FOLDER_UNWRITABLE: "The project's folder cannot be written. Name one that you own, on a disk with space.",
  GENERATION_ACTIVE: "Pumps and sinks follow this generation. Switch them to another one, or back to the job, before it is dropped.",
  GENERATION_FORMAT: "The record of a generation was written by another version of Tidemark. Use that version, or drop it there.",
  GENERATION_INVALID: "That generation cannot be begun so. Correct what the message names.",
  GENERATION_MISSING: "There is no such generation. List them, and begin one by a restore.",
  GENERATION_PUMPED:
    "A pump has to end its part of the outputs that it carries first. Let the shards run that the message names, wait a moment, and ask again.",
  GENERATION_TAKEN: "The name belongs to something that is there. Choose another one, or drop that generation first.",
  HISTORY_TRIMMED:
    "The log no longer has what it takes to fold up to that moment. Ask for a moment behind the oldest snapshot that the log still leads on from.",
  INPUT_INVALID: "The input cannot be read. Correct what the message names.",
  KEY_INVALID: "A key must be 1 to 256 bytes in its written form and well-formed Unicode.",
  LOG_CONFLICT: "Another writer was first. Read again and decide anew.",
  LOG_FULL: "The log's stream has reached max_bytes. Raise it.",
  LOG_LAYOUT:
    "A stream of the log is laid out otherwise than its slot map says. Compare the stream's subjects and limits with the page of this code.",
  LOG_MISSING: "No stream takes this subject. Create the log by starting a job that reads it, or correct the log's name.",
  LOG_TRIMMED:
    "The log was trimmed past the shard's position. Delete the shard's state when there is a snapshot behind the cut, or restore the trimmed part from a backup of the stream.",
  LOG_TRUNCATED: "The log ends before what the shard has folded. Restore the log's tail from a replica or a backup.",
  MIRROR_BEHIND:
    "The first site lives, and has more than its mirrors or runs nodes. Wait until `tidemark mirror status` says that none is behind; when it is given up, promote with --now.",
  MIRROR_CONFLICT:
    "A stream of that name is here and is no mirror of that site. Give this site a NATS account that holds nothing else, or delete the stream when nobody needs it.",
  MIRROR_MISSING: "There is no mirror here. Check that TIDEMARK_NATS_URL names the second site, and begin with `tidemark mirror sync`.",
  MODEL_CONTENT:
    "The content of a version of a model is not beside the snapshots, or is damaged there. Put the version again with the same content.",
  MODEL_FORMAT: "The record of a model was written by another version of Tidemark. Use that version, or put a new version of the model.",
  MODEL_INVALID: "That is no model that could be asked. Correct what the message names.",
  MODEL_MISSING: "There is no such version of the model. List the versions, and put the one that is wanted.",
  NATS_REPLICAS:
    "The NATS cluster has fewer servers than a stream is to have replicas, or none where it is to lie. Start its servers, or lower TIDEMARK_NATS_REPLICAS.",
  NATS_STORAGE:
    "The NATS account cannot reserve the streams' max_bytes. Lower TIDEMARK_STREAM_MAX_BYTES, or raise the server's max_file_store or the account's limit.",
  NATS_TOO_OLD: "The NATS server is older than 2.12. Use 2.15 or newer.",
  NATS_UNREACHABLE: "The NATS server does not answer. Check TIDEMARK_NATS_URL and that JetStream is enabled.",
  NODE_ID_TAKEN: "Another process runs as this node. Give each node a data directory, or a TIDEMARK_NODE_ID, of its own.",
  NODE_UNREACHABLE:
    "The node that owns the shard does not answer. Ask again in a moment: if it is gone, its lease is over within seconds and another takes the shard.",
  NATS_UNSAFE:
    "What is acknowledged could be lost with one server or its power. Do what the message says, or say that it is wanted, with TIDEMARK_ALLOW_SINGLE_REPLICA=on or TIDEMARK_ALLOW_LAZY_SYNC=on.",
  NOT_REDRIVABLE: "The dead letter cannot be put back: what it was made of is not there as a whole any more. Publish the event anew.",
  NOT_YET: "The shard has not committed that position yet. Ask again, with a longer `wait`, or look at the shard's lag.",
  OPERATION_FAILED: "The operation failed for a reason that nobody foresaw. The node's log has the whole of it; report it.",
  OPERATIONS_BUSY: "Too many operations run at once. Wait until one has ended, or cancel one.",
  OUTPUT_DIVERGED:
    "The output stream holds something that this shard did not write at that number. Compare the two outputs in the message; restore the stream, or delete it with the shard's state to fold again.",
  OUTPUTS_TRUNCATED:
    "The output stream ends before what the shard has committed. Delete the shard's state, to publish what is missing again, or restore the stream from a backup.",
  OUTPUT_LAYOUT: "The output stream has other limits than Tidemark sets. Compare it with the page of this code.",
  OWNER_ACTIVE:
    "Another node folds this shard with other code, so nothing was deleted. Stop that node, or give this one a NATS server of its own; then start it again.",
  PORT_TAKEN: "The port is in use. Stop its owner or choose another with TIDEMARK_HTTP_PORT.",
  PUBLISH_OVERLOADED: "Too many events wait to be published. Await earlier results before publishing more.",
  PUBLISH_TIMEOUT: "No acknowledgement came. The message may be stored; publish it again with the same id.",
  REFERENCE_CONFLICT: "A version of a reference record never changes, and each is higher than those before it. Put a higher version.",
  REFERENCE_DIVERGED:
    "The reference stream does not go on where the log's copies end. Restore the stream from a replica or a backup; until then nothing is copied.",
  REFERENCE_INVALID: "The reference record is malformed or not what its table's schema says. Correct what the message names.",
  REPLAY_DIFFERS: "Folding the same entries again gave something else. Let handlers use nothing but their event, their state and ctx.",
  RESULT_CONTENT:
    "A large result that an entry of the log names is not where it was stored, or is damaged there. Put it back from a copy of that place, or name the place where it lies.",
  RESTORE_BUSY: "A restore of this job is under way. Wait for its end, or cancel it.",
  SHARD_UNBEGUN: "No node has begun this shard with this build yet. Wait for its owner, or start the build that the owner runs.",
  SHADOW_DIVERGED:
    "The shadow's output stream holds the outputs of another replay. Delete them with `tidemark replay … --drop`, or take another name.",
  SHADOW_TAKEN: "A generation of that name was begun, and its outputs are its own. Take another name with --generation.",
  SNAPSHOT_DAMAGED:
    "What is stored of the snapshot is not what was written. Take an older snapshot; the log still has what lies behind it.",
  SNAPSHOT_FOREIGN:
    "The snapshot is of another job or of another history of it. Name one of this job, as it runs now; begun anew it has a history of its own.",
  SNAPSHOT_FORMAT: "The snapshot was written by another version of Tidemark. Use that version, or a snapshot of this one.",
  SNAPSHOT_INCOMPLETE: "A shard of the job has no state at this moment. Take the snapshot when all of its shards run.",
  SNAPSHOT_KEY_MISSING:
    "The key that the snapshot is encrypted with is not in the file of keys. Put its line back into the file that TIDEMARK_SNAPSHOT_KEYS names.",
  SNAPSHOT_MISSING: "There is no such snapshot, or a part of it is gone. List the snapshots and take another one.",
  SNAPSHOT_STORE: "The place of the snapshots cannot be read or written. Check the setting and what the message says of it.",
  STATE_DAMAGED:
    "A committed row of the shard's state is not what was written. Check the disk; then stop the node, delete the folder of the shard's state and start it again: the state is restored and folded anew.",
  STATE_FORMAT: "The state was written by another version of Tidemark. Use that version, or delete the shard's state to fold again.",
  STATE_MISSING: "The data directory has no state of the app's jobs. Name the directory of a node that runs them, with TIDEMARK_DATA_DIR.",
  STORE_FAILED:
    "The shard's state could not be written. Free the disk or mend it, then start the node again: nothing is lost, the log has it.",
  TEST_INPUT: "A test gave the kit what the job does not have or cannot take. Correct the call that the message names.",
  TEST_STATE: "The test kit cannot do that now. Await each call, and use no test behind its close.",
  USAGE_INVALID: "The command line is not understood. Add --help to see what the command takes.",
  VERIFY_UNFINISHED:
    "The process that verified said nothing for too long and was ended. The state may be sound: verify again, or scrub it.",
  WORKER_LOST: "A worker thread ended. The process ends too and starts again.",
} as const;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(ERRORS, text);
}

/** What crosses a thread. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly detail: string;
}

export class TidemarkError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, detail: string, options?: ErrorOptions) {
    super(`${code}: ${detail} ${ERRORS[code]}`, options);
    this.name = "TidemarkError";
    this.code = code;
    this.detail = detail;
  }

  readonly detail: string;

  toRecord(): ErrorRecord {
    return { code: this.code, detail: this.detail };
  }
}

export function isTidemarkError(error: unknown, code?: ErrorCode): error is TidemarkError {
  return error instanceof TidemarkError && (code === undefined || error.code === code);
}
