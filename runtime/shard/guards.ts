/**
 * Guards against what would make a fold differ from its replay: clocks, randomness, timers and I/O that a handler
 * could reach as globals or through node: modules. They are armed only while a handler runs; the runtime's own code
 * in the same thread is never in their way.
 */
import { createRequire, syncBuiltinESMExports } from "node:module";
import type { Guard } from "../../actors/fold/fold-options.ts";

const INSTEAD: Readonly<Record<string, string>> = {
  Date: "ctx.now, ctx.processingTime or ctx.watermark",
  "Math.random": "ctx.random()",
  crypto: "ctx.uuid() or ctx.random()",
  performance: "ctx.now",
  fetch: "an effect",
  setTimeout: "ctx.timers",
  setInterval: "ctx.timers",
  setImmediate: "ctx.timers",
  queueMicrotask: "a synchronous call",
  "Temporal.Now": "ctx.now",
};

let armed = false;

/** Thrown inside a handler; its code goes into the dead letter. */
export class NondeterminismError extends Error {
  readonly code = "NONDETERMINISTIC";

  constructor(what: string) {
    const [root] = what.split(".");
    super(
      `${what} is not allowed in a handler: a replay would see another value. Use ${INSTEAD[what] ?? INSTEAD[root!] ?? "what ctx gives"}.`,
    );
    this.name = "NondeterminismError";
  }
}

/** Puts the guards into this thread's globals, once, before any app module is loaded. */
export function installGuards(): Guard {
  if (!installed) {
    installed = true;
    guardDate();
    guardFunctions(Math as unknown as Target, "Math", ["random"]);
    guardFunctions(globalThis as unknown as Target, "", ["fetch", "setTimeout", "setInterval", "setImmediate", "queueMicrotask"]);
    guardFunctions(performance as unknown as Target, "performance", ["now"]);
    guardFunctions(crypto as unknown as Target, "crypto", ["randomUUID", "getRandomValues"]);
    guardModules();
    const temporal = (globalThis as { readonly Temporal?: { readonly Now?: Target } }).Temporal?.Now;
    if (temporal !== undefined) guardFunctions(temporal, "Temporal.Now", Object.getOwnPropertyNames(temporal));
  }
  return guard;
}

const guard: Guard = {
  enter() {
    armed = true;
  },
  leave() {
    armed = false;
  },
};

type Target = Record<string, unknown>;
let installed = false;

function guardDate(): void {
  const RealDate = Date;
  const guarded = new Proxy(RealDate, {
    construct(target, args, newTarget) {
      if (armed && args.length === 0) throw new NondeterminismError("new Date()");
      return Reflect.construct(target, args, newTarget) as object;
    },
    apply() {
      if (armed) throw new NondeterminismError("Date()");
      return new RealDate().toString();
    },
  });
  const now = RealDate.now;
  RealDate.now = () => {
    if (armed) throw new NondeterminismError("Date.now()");
    return now();
  };
  globalThis.Date = guarded;
}

function guardModules(): void {
  const require = createRequire(import.meta.url);
  guardFunctions(require("node:crypto") as Target, "crypto", [
    "randomUUID",
    "randomBytes",
    "randomInt",
    "randomFillSync",
    "getRandomValues",
  ]);
  guardFunctions(require("node:timers") as Target, "timers", ["setTimeout", "setInterval", "setImmediate"]);
  guardFunctions(process as unknown as Target, "process", ["hrtime", "uptime", "cpuUsage", "memoryUsage"]);
  guardFunctions(require("node:os") as Target, "os", ["hostname", "uptime", "loadavg", "freemem"]);
  const fs = require("node:fs") as Target;
  guardFunctions(fs, "fs", ["readFileSync", "readdirSync", "statSync", "existsSync", "writeFileSync", "openSync"]);
  syncBuiltinESMExports();
}

function guardFunctions(target: Target, path: string, names: readonly string[]): void {
  for (const name of names) {
    const real = target[name];
    // What cannot be replaced there only hands on to what is guarded elsewhere (node:crypto.getRandomValues).
    if (typeof real !== "function" || Object.getOwnPropertyDescriptor(target, name)?.configurable === false) continue;
    const label = path === "" ? name : `${path}.${name}`;
    const guarded = new Proxy(real, {
      apply(inner, self, args) {
        if (armed) throw new NondeterminismError(label);
        return Reflect.apply(inner as (...all: unknown[]) => unknown, self, args) as unknown;
      },
    });
    Object.defineProperty(target, name, { value: guarded, configurable: true, writable: true });
  }
}
