/** Starts the threads of a node: each loads the app afresh, and says so when it is ready. */
import { TidemarkError } from "../errors.ts";
import { moduleUrl, startThread, type Thread } from "../threads/thread-call.ts";

const START_DEADLINE_MS = 60_000;

/** `path`: of the module, from this folder. Resolves when it has said that it is ready; `lost` is told when it ends later. */
export async function startNodeThread<T>(
  path: string,
  name: string,
  workerData: unknown,
  lost: (error: TidemarkError) => void,
): Promise<Thread<T>> {
  const env = { ...process.env, TZ: "UTC", LC_ALL: "C", LANG: "C" };
  let fail: (error: TidemarkError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = reject;
  });
  failed.catch(() => {});
  let ready = false;
  const thread = startThread<T>(moduleUrl(path, import.meta.url), { name, workerData, env }, (error) => {
    if (ready) lost(error);
    else fail(error);
  });
  const started = new Promise<void>((resolve) => {
    thread.worker.on("message", (message: unknown) => {
      if (message === "ready") resolve();
    });
  });
  const timer = setTimeout(
    () => fail(new TidemarkError("WORKER_LOST", `${name} did not start within ${START_DEADLINE_MS} ms.`)),
    START_DEADLINE_MS,
  );
  try {
    await Promise.race([started, failed]);
  } catch (error) {
    // One that is late must not come up beside another that is started in its place.
    void thread.worker.terminate();
    throw error;
  } finally {
    clearTimeout(timer);
  }
  ready = true;
  return thread;
}

/** A thread that starts with the first call to it. Nothing is lost with one that does not start: the next call starts another. */
export function startedWhenCalled<T>(start: () => Promise<Thread<T>>): Pick<Thread<T>, "call" | "ask"> & { readonly hasStarted: boolean } {
  let started: Promise<Thread<T>> | undefined;
  const thread = (): Promise<Thread<T>> => {
    started ??= start().catch((error: unknown) => {
      started = undefined;
      throw error;
    });
    return started;
  };
  return {
    get hasStarted() {
      return started !== undefined;
    },
    call: async (name, run, deadlineMs) => await (await thread()).call(name, run, deadlineMs),
    ask: async (name, run, deadlineMs) => await (await thread()).ask(name, run, deadlineMs),
  };
}
