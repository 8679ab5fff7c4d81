/** A node that is started again whenever its process ends, as a supervisor does, until it is stopped. */
import { NodeProcess, type NodeProcessOptions } from "./node-process.ts";

export class RestartingNode {
  deaths = 0;
  /** Everything that all of its processes said. */
  log = "";
  readonly #options: NodeProcessOptions;
  #node: NodeProcess;
  #stopping = false;
  readonly #over: Promise<void>;

  constructor(options: NodeProcessOptions) {
    this.#options = options;
    this.#node = new NodeProcess(options);
    this.#over = this.#keep();
  }

  /** The API of the process that is running now; waits for the next one when it dies before it is ready. */
  async apiUrl(): Promise<string> {
    for (;;) {
      const node = this.#node;
      try {
        return await node.ready;
      } catch (error) {
        if (this.#stopping) throw error;
        // The next process is started in the turn after this one's exit.
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
      }
    }
  }

  /** SIGKILL to the process that is running now; the next one is started behind it. */
  async kill(): Promise<void> {
    await this.#node.kill();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#node.kill();
    await this.#over;
  }

  async #keep(): Promise<void> {
    for (;;) {
      await this.#node.exited;
      this.log += this.#node.log;
      if (this.#stopping) return;
      this.deaths++;
      this.#node = new NodeProcess(this.#options);
    }
  }
}
