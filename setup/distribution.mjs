/**
 * nats-server from the machine's own Debian or Ubuntu mirror: the package of a newer suite, verified by apt against the distribution's
 * keys and unpacked privately. Works without root. The distribution's own release is often too old for us.
 *
 * Resumable: everything lies in `<folder>/half` until the program runs, then is renamed in one step; apt goes on with half-loaded lists.
 */
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { orReadOnly, readOnly, report, SetupError } from "./report.mjs";

/** `suites` are tried in this order; `keyring` is used when the configured sources name none. */
const DISTRIBUTIONS = {
  debian: { suites: ["sid", "forky", "testing"], components: "main", keyring: "/usr/share/keyrings/debian-archive-keyring.gpg" },
  ubuntu: { suites: ["devel"], components: "main universe", keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg" },
};

export function canFetch() {
  return process.platform === "linux" && distribution() !== undefined && existsOnPath("apt-get") && existsOnPath("dpkg");
}

/**
 * @param {string} folder
 * @param {(program: string) => boolean} runs
 * @returns {Promise<string | undefined>} the program's path; `undefined` when no suite has one that runs here
 */
export async function fetchFromDistribution(folder, runs) {
  const half = join(folder, "half");
  orReadOnly(folder, () => mkdirSync(half, { recursive: true }));
  const mirror = mirrorOf(distribution(), half);
  const failures = [];
  for (const suite of distribution().suites) {
    const program = await fromSuite(half, mirror, suite, failures);
    if (program === undefined) continue;
    if (!runs(program)) {
      report.notice(`the nats-server of ${suite} is too old or does not run on this machine`);
      continue;
    }
    const place = join(folder, `nats-server-${suite}`);
    renameSync(program, place);
    // The lists alone are 40 to 60 MB.
    rmSync(half, { recursive: true, force: true });
    return place;
  }
  if (failures.length === distribution().suites.length) throw unreachable(failures);
  return undefined;
}

function distribution() {
  if (!existsSync("/etc/os-release")) return undefined;
  const release = readFileSync("/etc/os-release", "utf8");
  const value = (name) => new RegExp(`^${name}="?([^"\\n]*)"?$`, "m").exec(release)?.[1] ?? "";
  const known = [value("ID"), ...value("ID_LIKE").split(" ")].find((id) => Object.hasOwn(DISTRIBUTIONS, id));
  // A derivative's mirror has other suites: only its base's own mirror would do, and that is not configured there.
  if (known === undefined || known !== value("ID")) return undefined;
  return { ...DISTRIBUTIONS[known], codename: value("VERSION_CODENAME") };
}

/** The mirror that serves the running release, as the machine is configured: from apt's lists, or from its sources when there are none. */
function mirrorOf({ codename }, half) {
  const fromLists = apt(["indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"])
    .split("\n")
    .map((line) => line.split(" "))
    .find(([, name]) => name === codename)?.[0];
  if (fromLists) return fromLists;
  const lists = join(half, "no-lists");
  mkdirSync(join(lists, "partial"), { recursive: true });
  const fromSources = apt(["update", "--print-uris", "-o", `Dir::State::Lists=${lists}`, "-o", "Debug::NoLocking=1"]);
  const uri = new RegExp(`^'([^']+/)dists/${codename}/InRelease'`, "m").exec(fromSources)?.[1];
  if (uri) return uri;
  throw new SetupError(
    "SETUP_NO_MIRROR",
    `apt has no source for ${codename || "this release"} from which a nats-server could be fetched.`,
    ["install nats-server 2.15 or newer yourself, so that it is on PATH", "or set TIDEMARK_NATS_URL to a server that runs"],
  );
}

function apt(args) {
  return spawnSync("apt-get", args, { encoding: "utf8", env: plainEnv() }).stdout ?? "";
}

/** Downloads and unpacks; the program's path in `half`, or `undefined` with the reason added to `failures` when apt failed. */
async function fromSuite(half, mirror, suite, failures) {
  const place = join(half, suite);
  const options = orReadOnly(place, () => privateApt(place, mirror, suite));
  const unpacked = join(place, "out");
  for (const [program, args] of [
    ["apt-get", [...options, "update"]],
    ["apt-get", [...options, "download", "nats-server"]],
  ]) {
    const { code, said } = await run(program, args, place);
    if (code !== 0) {
      failures.push(said);
      return undefined;
    }
  }
  const deb = readdirSync(place).find((name) => name.startsWith("nats-server_") && name.endsWith(".deb"));
  if (deb === undefined) return undefined;
  const { code, said } = await run("dpkg", ["-x", deb, unpacked], place);
  if (code !== 0) {
    // Half a package: the next run must not find it.
    rmSync(join(place, deb), { force: true });
    failures.push(said);
    return undefined;
  }
  const program = join(unpacked, "usr", "sbin", "nats-server");
  return existsSync(program) ? program : undefined;
}

/** apt with lists, cache and sources of its own: the system's are neither read nor locked. */
function privateApt(place, mirror, suite) {
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(place, folder), { recursive: true });
  const { components, keyring } = distribution();
  const sources = join(place, "tidemark.sources");
  const signedBy = existsSync(keyring) ? `Signed-By: ${keyring}\n` : "";
  writeFileSync(sources, `Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: ${components}\n${signedBy}`);
  chmodSync(sources, 0o644);
  const settings = {
    "Dir::State::Lists": join(place, "lists"),
    "Dir::State::status": "/dev/null",
    "Dir::Cache": join(place, "cache"),
    "Dir::Etc::SourceList": sources,
    "Dir::Etc::SourceParts": "/dev/null",
    "Debug::NoLocking": "1",
    "Acquire::Languages": "none",
    // Without it an update that fetched nothing counts as done, and only the download fails, with a message that misleads.
    "APT::Update::Error-Mode": "any",
    "Acquire::Retries": "2",
    // Root's apt would hand the work to a user who may not write into this folder.
    "APT::Sandbox::User": process.getuid?.() === 0 ? "root" : "",
  };
  return ["-q", ...Object.entries(settings).flatMap(([name, value]) => (value === "" ? [] : ["-o", `${name}=${value}`]))];
}

function run(program, args, cwd) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd, env: plainEnv(), stdio: ["ignore", "pipe", "pipe"] });
    let said = "";
    const take = (chunk) => {
      said = (said + chunk).slice(-4096);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => resolve({ code: 1, said: error.message }));
    child.once("close", (code) => resolve({ code: code ?? 1, said }));
  });
}

/** apt's answers are read, so they must not be translated. */
function plainEnv() {
  return { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
}

function existsOnPath(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

function unreachable(failures) {
  const said = failures.join("\n");
  const refused = /Read-only file system|Permission denied/.exec(said);
  if (refused) return readOnly("the cache folder in node_modules", refused[0]);
  const lines = said.split("\n").filter((line) => /^[EW]: /.test(line));
  return new SetupError(
    "SETUP_NO_NETWORK",
    `the distribution's mirror gave no nats-server:\n${[...new Set(lines)].slice(0, 5).join("\n")}`,
    [
      "check the connection and apt's proxy settings, and run the command again: what was downloaded is kept",
      "or install nats-server 2.15 or newer yourself, so that it is on PATH",
      "or set TIDEMARK_NATS_URL to a server that runs",
    ],
  );
}
