/** Loads an app in a process of its own, where nothing else has loaded it, and keeps or looks at what it is made of. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);
const RUNTIME = new URL("../../runtime/", import.meta.url).href;

const PRELUDE = `
  const { loadApp } = await import("${RUNTIME}app.ts");
  const { BuildStore } = await import("${RUNTIME}builds/build-store.ts");
  const { unpackBuild } = await import("${RUNTIME}builds/unpacked-build.ts");
  const { DirectoryBlobs } = await import("${RUNTIME}snapshots/blobs/directory-blobs.ts");
  const { KeyRing } = await import("${RUNTIME}snapshots/key-ring.ts");
  const { systemClock } = await import("${RUNTIME}clock.ts");
  const [place, ...args] = process.argv.slice(1);
  const store = new BuildStore(await DirectoryBlobs.open(place), await KeyRing.read(process.env.KEYS));
`;

async function said(code: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  const { stdout } = await run(process.execPath, ["--input-type=module", "-e", PRELUDE + code, ...args], {
    env: { ...process.env, ...env },
  });
  return stdout.trim();
}

/** Keeps the app in the directory `place`; gives its code hash. */
export async function keepApp(
  place: string,
  app: string,
  profile: "development" | "production" = "production",
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const code = `const app = await loadApp(args[0]); await store.keep(app, args[1], systemClock); console.log(app.codeHash);`;
  return await said(code, [place, app, profile], env);
}

/** Puts the build up for the packages that `from` has, and loads it: path, code hash and job versions, or the code and text of the refusal. */
export async function loadKept(
  place: string,
  codeHash: string,
  dataDir: string,
  from: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{
  readonly path?: string;
  readonly codeHash?: string;
  readonly jobs?: readonly string[];
  readonly code?: string;
  readonly detail?: string;
}> {
  const code = `
    try {
      const path = await unpackBuild(store, args[0], args[1], args[2]);
      const { codeHash, jobs } = await loadApp(path);
      console.log(JSON.stringify({ path, codeHash, jobs: jobs.map(({ name, version }) => name + " " + version) }));
    } catch (error) {
      if (error.code === undefined) throw error;
      console.log(JSON.stringify({ code: error.code, detail: error.detail }));
    }`;
  return JSON.parse(await said(code, [place, codeHash, dataDir, from], env)) as Awaited<ReturnType<typeof loadKept>>;
}

/** Its code hash, and nothing else. */
export async function hashOfApp(place: string, app: string): Promise<string> {
  return await said(`console.log((await loadApp(args[0])).codeHash);`, [place, app]);
}
