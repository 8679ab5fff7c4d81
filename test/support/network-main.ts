/** Two places of a network, a server in one of them, and what the other and the router get of it, whatever is done to the network. */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { workInNetwork } from "./own-network.ts";

export interface Heard {
  /** Bytes that came to the other place. */
  readonly whole: string;
  readonly cutThere: string;
  readonly cutBack: string;
  readonly mended: string;
  /** To the router, while the two places are cut off from each other. */
  readonly router: string;
  readonly slow: string;
  /** Packets that a slow cable kept waiting. */
  readonly keptWaiting: number;
}

const PORT = 7_000;
const BYTES = 32_768;
const SERVE = `require("node:net").createServer((socket) => socket.end("x".repeat(${BYTES}))).listen(${PORT}, () => console.log("listening"))`;
/** A cut is silent; what refuses says so at once. */
const SILENCE_MS = 1_000;

workInNetwork<object, Heard>(async (t, _, network) => {
  const [one, other] = [network.add(), network.add()];
  const [command, ...args] = [...one.command, process.execPath, "-e", SERVE];
  const server = spawn(command!, args, { stdio: ["ignore", "pipe", "inherit"] });
  t.after(async () => void server.kill("SIGKILL"));
  await new Promise((resolve) => server.stdout.once("data", resolve));
  const script = `
    let bytes = 0;
    const say = (what) => { process.stdout.write(what); process.exit(); };
    const socket = require("node:net").connect(${PORT}, "${one.address}");
    socket.on("data", (data) => { bytes += data.length; });
    socket.on("end", () => say(bytes + " bytes"));
    socket.on("error", ({ code }) => say(code));
    setTimeout(() => { if (bytes === 0) say("silence"); }, ${SILENCE_MS});`;
  const hear = (from: readonly string[]): string => {
    const [asks, ...rest] = [...from, process.execPath, "-e", script];
    return spawnSync(asks!, rest, { encoding: "utf8" }).stdout;
  };
  const whole = hear(other.command);
  let mend = network.cut(other, one);
  const cutThere = hear(other.command);
  mend();
  mend = network.cut(one, other);
  const [cutBack, router] = [hear(other.command), hear([])];
  mend();
  const mended = hear(other.command);
  mend = network.slow(one);
  const slow = hear(other.command);
  const queue = execFileSync(one.command[0]!, [...one.command.slice(1), "tc", "-s", "qdisc", "show", "dev", "cable"], { encoding: "utf8" });
  mend();
  return { whole, cutThere, cutBack, mended, router, slow, keptWaiting: Number(/overlimits (\d+)/.exec(queue)?.[1]) };
});
