/**
 * Work in a network that the test makes: a process of its own does it, because a process cannot change its network. It is over with the
 * process that began it, and so is the network.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import type { Cleanup } from "./nats.ts";
import { OWN_NETWORK, TestNetwork } from "./network.ts";

type Answer<R> = { readonly result: R } | { readonly error: string };

/** What `module`, which calls {@link workInNetwork}, makes of `input`. */
export async function inOwnNetwork<I extends object, R>(t: Cleanup, module: URL, input: I): Promise<R> {
  const [execPath, ...command] = OWN_NETWORK;
  const execArgv = [...command, process.execPath];
  const child = fork(module.pathname, [], { execPath, execArgv, stdio: ["ignore", "ignore", "inherit", "ipc"] });
  const exited = once(child, "exit");
  t.after(async () => {
    if (child.connected) child.disconnect();
    await exited;
  });
  const answer = new Promise<Answer<R>>((resolve, reject) => {
    child.once("message", (message) => resolve(message as Answer<R>));
    void exited.then(([code, signal]) => reject(new Error(`the process in its network ended (${signal ?? code}) without an answer`)));
  });
  child.send(input);
  const message = await answer;
  if ("error" in message) throw new Error(message.error);
  return message.result;
}

/** Called once, by the main module of such a process. */
export function workInNetwork<I, R>(work: (t: Cleanup, input: I, network: TestNetwork) => Promise<R>): void {
  const hooks: (() => Promise<void>)[] = [];
  const cleanUp = async (): Promise<void> => {
    for (let hook = hooks.pop(); hook !== undefined; hook = hooks.pop()) await hook();
  };
  // Whoever began it may be gone, and is the reason why the work failed.
  const tell = (answer: Answer<R>): void => {
    if (process.connected) process.send!(answer);
  };
  process.once("disconnect", () => void cleanUp().finally(() => process.exit()));
  process.once("message", (input: I) => {
    const t = { after: (hook: () => Promise<void>) => void hooks.push(hook) };
    work(t, input, new TestNetwork())
      .then((result) => tell({ result }))
      .catch((error: unknown) => tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }));
  });
}
