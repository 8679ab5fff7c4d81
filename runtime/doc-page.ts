/** Where the pages of the documentation lie: in `docs/` of a clone, in `node_modules/tidemark/docs/` of a project. */
import { join, relative } from "node:path";
import type { TidemarkError } from "./errors.ts";
import { PACKAGE_ROOT } from "./own-package.ts";

/** The path of a page, as short as it can be given from where the process runs. */
export function docPage(name: string): string {
  const file = join(PACKAGE_ROOT, "docs", name);
  const seen = relative(process.cwd(), file);
  return seen.startsWith("..") ? file : seen;
}

/** The message of an error, and the page of its code. */
export function messageWithPage({ code, message }: TidemarkError): string {
  return `${message} See ${docPage(`errors/${code}.md`)}`;
}
