/**
 * A network of its own for processes of a test: each place is a network namespace with one cable to a router, which is the
 * namespace of this process. So this process reaches all places, and whatever two of them send each other goes through its rules.
 *
 * Made inside a fresh namespace alone ({@link OWN_NETWORK}), where no name of it is seen by others and nothing of it is left when
 * its last process ends.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";

/** Where processes run: at which address, and what is written before their command. */
export interface Place {
  readonly address: string;
  readonly command: readonly string[];
}

export const LOOPBACK: Place = { address: "127.0.0.1", command: [] };

/** Before the command of a process that makes a network. */
export const OWN_NETWORK = ["unshare", "--net", "--mount", "--"] as const;

const ROUTER = "10.77.0.254";
/** Names of namespaces are files there. */
const NAMES = "/run/netns";
/** A cable that is slow: what it has no room for waits for up to so long, and is lost beyond. Fewer kernels have netem. */
const SLOW = ["rate", "500kbit", "burst", "4kb", "latency", "400ms"];

/** Why no network can be made here; `undefined`: it can. */
export function whyNoNetwork(): string | undefined {
  const [command, ...args] = [...OWN_NETWORK, "sh", "-c", "mount -t tmpfs tmpfs /run && ip rule add blackhole from 10.77.0.1 && tc -V"];
  return spawnSync(command!, args, { stdio: "ignore" }).status === 0 ? undefined : "this user may not make network namespaces";
}

export class TestNetwork {
  /** The router's ends, by address. */
  readonly #cables = new Map<string, string>();

  constructor() {
    run("mount", "-t", "tmpfs", "tmpfs", "/run");
    mkdirSync(NAMES);
    run("ip", "link", "set", "lo", "up");
    run("ip", "address", "add", `${ROUTER}/32`, "dev", "lo");
    writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  }

  add(): Place {
    const n = this.#cables.size + 1;
    const [name, address] = [`place${n}`, `10.77.0.${n}`];
    const inside = (...command: string[]): void => run("ip", "-n", name, ...command);
    run("ip", "netns", "add", name);
    run("ip", "link", "add", `cable${n}`, "type", "veth", "peer", "name", "cable", "netns", name);
    run("ip", "link", "set", `cable${n}`, "up");
    inside("link", "set", "lo", "up");
    inside("address", "add", `${address}/32`, "dev", "cable");
    inside("link", "set", "cable", "up");
    inside("route", "add", "default", "via", ROUTER, "dev", "cable", "onlink");
    run("ip", "route", "add", `${address}/32`, "dev", `cable${n}`, "src", ROUTER);
    this.#cables.set(address, `cable${n}`);
    return { address, command: ["nsenter", `--net=${NAMES}/${name}`, "--"] };
  }

  /** What one sends to the other is lost without a word, until the returned function is called. */
  cut(from: Place, to: Place): () => void {
    const rule = ["blackhole", "from", from.address, "to", to.address];
    run("ip", "rule", "add", ...rule);
    return () => run("ip", "rule", "delete", ...rule);
  }

  /** What comes to a place and goes from it is late and sometimes lost, until the returned function is called. */
  slow({ address, command }: Place): () => void {
    const both = (verb: string, ...how: string[]): void => {
      run("tc", "qdisc", verb, "dev", this.#cables.get(address)!, "root", ...how);
      run(...command, "tc", "qdisc", verb, "dev", "cable", "root", ...how);
    };
    both("add", "tbf", ...SLOW);
    return () => both("delete");
  }
}

function run(...[command, ...args]: readonly string[]): void {
  execFileSync(command!, args, { stdio: ["ignore", "ignore", "pipe"] });
}
