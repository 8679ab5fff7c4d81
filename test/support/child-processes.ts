/** Processes that another one has started, for tests that end or stop them: from /proc, and from `ps` where there is none. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";

/** Ids of the processes that `parent` has started and whose command line has `part` in it. */
export function childrenOf(parent: number, part: string): number[] {
  return processes()
    .filter((one) => one.parent === parent && one.command.includes(part))
    .map(({ pid }) => pid);
}

interface Listed {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
}

function processes(): Listed[] {
  if (existsSync("/proc/self/stat")) return readdirSync("/proc").flatMap(listed);
  return execFileSync("ps", ["-axwwo", "pid=,ppid=,command="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => {
      const [pid, parent, ...command] = line.trim().split(/\s+/);
      return { pid: Number(pid), parent: Number(parent), command: command.join(" ") };
    });
}

/** None for what is no process, or is gone by now. */
function listed(name: string): Listed[] {
  if (!/^\d+$/.test(name)) return [];
  try {
    const fields = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)!.split(" ");
    const command = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
    return [{ pid: Number(name), parent: Number(fields[1]), command }];
  } catch {
    return [];
  }
}
