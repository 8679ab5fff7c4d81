#!/usr/bin/env node
/** The command line of Tidemark (CONTRACT "Commands"). Commands are in `commands.ts`; how they run is in `framework/`. */
import { COMMANDS } from "./commands.ts";
import { flushed, processSignals } from "./framework/process-signals.ts";
import { runProgram } from "./framework/program.ts";

const code = await runProgram(process.argv.slice(2), COMMANDS, process, process.env, processSignals);
await flushed();
process.exit(code);
