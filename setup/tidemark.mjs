#!/usr/bin/env node
/**
 * The command `tidemark`, for whatever Node runs it.
 *
 * This file must run on any Node that reads ES modules, however old, or it could not say that it is too old: no imports at the
 * top and no syntax younger than Node 12. The rest is loaded once the version is known.
 */
const OLDEST_NODE = 18;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  process.stderr.write(
    "SETUP_OLD_NODE: this is Node " +
      process.versions.node +
      ", and tidemark needs Node 24, or Node " +
      OLDEST_NODE +
      " to bring one itself.\n" +
      "  What to do: install Node 24 from your system's packages or a version manager, and run the command again.\n",
  );
  process.exitCode = 1;
} else {
  import("./command-line.mjs").then((commandLine) => commandLine.run());
}
