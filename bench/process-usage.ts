/** CPU and memory of another process, from /proc. Linux only; elsewhere the figures are absent. */
import { readFileSync } from "node:fs";

/** CLK_TCK of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface Usage {
  readonly cpuSeconds: number;
  readonly rssMiB: number;
  /** Of it what is no page of a file: the store's mapped pages are left out, which the system takes back when it needs them. */
  readonly ownMiB: number;
}

export function usageOf(pid: number): Usage {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    const miB = (name: string): number => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1] ?? 0) / 1024);
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
      rssMiB: miB("VmRSS"),
      ownMiB: miB("RssAnon"),
    };
  } catch {
    return { cpuSeconds: Number.NaN, rssMiB: Number.NaN, ownMiB: Number.NaN };
  }
}
