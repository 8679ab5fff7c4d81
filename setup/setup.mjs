/**
 * Makes a fresh clone runnable: `node setup/setup.mjs start|test|bench|check`, called by npm before the command of that name.
 *
 * This file must run on any Node that reads ES modules, however old, or it could not say that it is too old: no imports at the
 * top and no syntax younger than Node 12. The rest is loaded once the version is known.
 */
const OLDEST_NODE = 18;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  process.stderr.write(
    "SETUP_OLD_NODE: this is Node " +
      process.versions.node +
      ", and npm needs at least Node " +
      OLDEST_NODE +
      " here.\n" +
      "  What to do: install Node 20 or newer from your system's packages or a version manager, and run the command again.\n",
  );
  process.exitCode = 1;
} else {
  import("./steps.mjs").then((steps) => steps.setUp(process.argv[2]));
}
