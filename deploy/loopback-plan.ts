/**
 * From the services of docker-compose.yml to processes on 127.0.0.1: the same programs, arguments, environment and files, with ports
 * in the place of names and folders in the place of volumes. What runs neither NATS nor Tidemark is left out. Pure.
 */
import { basename, join } from "node:path";
import type { ComposeFile, ComposeService } from "./compose.ts";

export interface PlannedProcess {
  readonly service: string;
  readonly program: Program;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Configuration to write, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** In the place of named volumes. */
  readonly folders: readonly string[];
  /** Answers 200 when the service is healthy. */
  readonly healthUrl: string;
  /** Where clients connect. */
  readonly url: string;
  readonly stopWithinMs: number;
  /** Services that have to be healthy before. */
  readonly after: readonly string[];
}

export type Program = "nats-server" | "tidemark";

export interface Place {
  /** For what processes write. */
  readonly folder: string;
  /** Of a file of the repository. */
  readonly read: (path: string) => string;
  /** The port of 127.0.0.1 that stands for a port of a service: always the same for the same. */
  readonly portOf: (service: string, port: number) => number;
}

const PROGRAMS: readonly { readonly program: Program; readonly image: RegExp; readonly port: number; readonly scheme: string }[] = [
  { program: "nats-server", image: /^nats:/, port: 4222, scheme: "nats" },
  { program: "tidemark", image: /^tidemark:/, port: 7070, scheme: "http" },
];
const STOP_DEFAULT_MS = 10_000;

export interface Plan {
  /** In the file's order: those that others need stand before them. */
  readonly processes: readonly PlannedProcess[];
  /** Services that have no process. */
  readonly leftOut: readonly string[];
}

/** `app`: what nodes run in the place of what the file names. */
export function planOf(compose: ComposeFile, place: Place, app: string | undefined): Plan {
  const names = Object.keys(compose.services);
  const running = names.filter((name) => programOf(compose.services[name]!) !== undefined);
  const leftOut = names.filter((name) => !running.includes(name));
  const processes = running.map((service) => {
    const planned = planService(service, compose, place, { running, leftOut });
    return app !== undefined && planned.program === "tidemark" ? { ...planned, args: [app] } : planned;
  });
  return { processes, leftOut };
}

function planService(service: string, { services, secrets }: ComposeFile, place: Place, names: Names): PlannedProcess {
  const {
    command = [],
    environment = {},
    volumes = [],
    secrets: own = [],
    depends_on,
    healthcheck,
    stop_grace_period,
  } = services[service]!;
  const { program, port, scheme } = programOf(services[service]!)!;
  const home = join(place.folder, service);
  const mounts = volumes.map((written) => written.split(":") as [string, string]);
  const moved: [string, string][] = [
    ...mounts.map(([source, target]): [string, string] => [target, join(home, basename(source))]),
    ...own.map((name): [string, string] => [`/run/secrets/${name}`, join(place.folder, secrets[name]!.file)]),
  ];
  const here = (text: string): string => onLoopback(text, service, moved, place, names.running);
  const mentionsLeftOut = (text: string): boolean => names.leftOut.some((name) => new RegExp(`\\b${name}:\\d`).test(text));
  const env = Object.entries(environment).flatMap(([name, value]) =>
    // There is nobody at that address.
    mentionsLeftOut(value) ? [] : [[name, name === "TIDEMARK_HTTP_PORT" ? String(place.portOf(service, Number(value))) : here(value)]],
  );
  const bound = mounts.filter(([source]) => source.startsWith("."));
  const health = /http:\/\/127\.0\.0\.1:\d+[^\s'"]*/.exec(healthcheck?.test.join(" ") ?? "")?.[0];
  if (health === undefined) throw new Error(`docker-compose.yml: the health check of ${service} names no URL`);
  return {
    service,
    program,
    // An argument that is a number is a port.
    args: command.map((arg) => (/^\d+$/.test(arg) ? String(place.portOf(service, Number(arg))) : here(arg))),
    env: Object.fromEntries(env),
    files: Object.fromEntries(bound.map(([source]) => [join(home, basename(source)), here(place.read(source))])),
    folders: [home, ...mounts.filter((mount) => !bound.includes(mount)).map(([source]) => join(home, source))],
    healthUrl: here(health),
    url: `${scheme}://127.0.0.1:${place.portOf(service, port)}`,
    stopWithinMs: stop_grace_period === undefined ? STOP_DEFAULT_MS : secondsOf(stop_grace_period) * 1000,
    after: Object.keys(depends_on ?? {}).filter((name) => names.running.includes(name)),
  };
}

interface Names {
  readonly running: readonly string[];
  readonly leftOut: readonly string[];
}

function programOf({ image }: ComposeService): (typeof PROGRAMS)[number] | undefined {
  return PROGRAMS.find((each) => each.image.test(image));
}

/** `<service>:<port>`, a port of all or of its own addresses, and the paths of what is mounted. */
function onLoopback(text: string, service: string, moved: readonly [string, string][], place: Place, running: readonly string[]): string {
  const hosts = new RegExp(`(?<![\\w.-])(${[...running, "0\\.0\\.0\\.0", "127\\.0\\.0\\.1"].join("|")}):(\\d+)`, "g");
  const addressed = text
    .replace(hosts, (_, host: string, port: string) => `127.0.0.1:${place.portOf(running.includes(host) ? host : service, Number(port))}`)
    .replaceAll("0.0.0.0", "127.0.0.1");
  return moved.reduce((sum, [from, to]) => sum.replaceAll(from, to), addressed);
}

function secondsOf(written: string): number {
  const seconds = /^(\d+)s$/.exec(written)?.[1];
  if (seconds === undefined) throw new Error(`docker-compose.yml: ${written}: write whole seconds, 30s`);
  return Number(seconds);
}
