/** The options that every command takes (CONTRACT "Commands"). */
import { file, flag, type Option, text } from "./command.ts";

export interface CommonOptions {
  readonly url: string | undefined;
  readonly json: boolean;
  readonly "token-file": string | undefined;
  readonly help: boolean;
}

export const COMMON_OPTIONS: { readonly [K in keyof CommonOptions]: Option<CommonOptions[K]> } = {
  url: { ...text("URL", "the node's API"), default: "http://127.0.0.1:7070, or TIDEMARK_HTTP_HOST and TIDEMARK_HTTP_PORT" },
  json: flag("JSON also on a terminal: one document, or one a line for a list"),
  "token-file": file("FILE", "file that holds the API token; otherwise TIDEMARK_TOKEN is the token"),
  help: flag("what the command does and takes"),
};
