/** Where Tidemark itself lies, and which version it is. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Where Tidemark's own modules lie: the repository, or `dist` in the package. */
export const OWN_ROOT = fileURLToPath(new URL("..", import.meta.url));

/** The folder of Tidemark's package.json. */
export const PACKAGE_ROOT = packageRoot(dirname(fileURLToPath(import.meta.url)));

export const TIDEMARK_VERSION = (JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { readonly version: string })
  .version;

/** The app with all shipped jobs. */
export const SHIPPED_APP = join(OWN_ROOT, "actors", `shipped${extname(import.meta.url)}`);

/** The nearest folder from `from` upwards that has a package.json; `from` where there is none. */
export function packageRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return from;
  }
}
