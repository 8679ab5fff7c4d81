/** The files of a loaded app as they are to be kept. Reads the app's own tree, and nothing of its packages. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type App, ownCode, pathFrom } from "../app.ts";
import { TidemarkError } from "../errors.ts";
import { PACKAGE_ROOT, TIDEMARK_VERSION } from "../own-package.ts";
import { BUILD_BYTES_MAX, BUILD_FILES_MAX, BUILD_FORMAT, type KeptBuild, type KeptFile, sha256Of } from "./kept-build.ts";

export interface AppFiles {
  readonly build: KeptBuild;
  /** By SHA-256. */
  readonly bytes: ReadonlyMap<string, Uint8Array>;
}

/** Throws APP_INVALID when the app is beyond the bounds, or a file changed since it was loaded. */
export function appFiles(app: App, profile: KeptBuild["profile"], keptAt: number): AppFiles {
  const { root, file, packages, imports, manifests } = app.source;
  const bytes = new Map<string, Uint8Array>();
  const files: KeptFile[] = [];
  let total = 0;
  for (const module of app.modules) {
    const read = readFileSync(module.file);
    total += read.length;
    if (files.length === BUILD_FILES_MAX || total > BUILD_BYTES_MAX)
      throw new TidemarkError("APP_INVALID", `The build has over ${BUILD_FILES_MAX} modules or ${BUILD_BYTES_MAX} bytes of its own.`);
    if (sha256Of(read) !== module.hash) throw new TidemarkError("APP_INVALID", `${module.file} changed since it was loaded.`);
    bytes.set(module.hash, read);
    files.push({ path: pathFrom(root, module.file), sha256: module.hash, bytes: read.length });
  }
  const own = files.every(({ path }) => join(root, path) !== file);
  const build: KeptBuild = {
    format: BUILD_FORMAT,
    codeHash: app.codeHash,
    keptAt,
    profile,
    tidemark: TIDEMARK_VERSION,
    node: process.versions.node,
    jobs: app.jobs.map(({ name, version }) => ({ job: name, version })),
    entry: { path: pathFrom(own ? PACKAGE_ROOT : root, file), own },
    files,
    manifests,
    ownCode: root === PACKAGE_ROOT ? ownCode().map((path) => pathFrom(root, path)) : [],
    packages,
    imports,
  };
  return { build, bytes };
}
