/** All commands, in the order in which help shows them. A new command is a record in a module of its own, named here. */
import { actor } from "./commands/actor.ts";
import { actors } from "./commands/actors.ts";
import { ask } from "./commands/ask.ts";
import { budgetsList } from "./commands/budgets.ts";
import { buildsList, buildsUnpack } from "./commands/builds.ts";
import { completion } from "./commands/completion.ts";
import { deadLettersList, deadLettersRedrive, deadLettersShow } from "./commands/dead-letters.ts";
import { dev } from "./commands/dev.ts";
import { doctor } from "./commands/doctor.ts";
import { explain } from "./commands/explain.ts";
import { generationsDrop, generationsList, generationsSwitch } from "./commands/generations.ts";
import { init } from "./commands/init.ts";
import { jobs } from "./commands/jobs.ts";
import { migrate } from "./commands/migrate.ts";
import { mirrorPromote, mirrorStatusCommand, mirrorSync } from "./commands/mirror.ts";
import { modelsActivate, modelsCheck, modelsList, modelsPut } from "./commands/models.ts";
import { natsConfig } from "./commands/nats-config.ts";
import { node } from "./commands/node.ts";
import { nodes, nodesDrain, nodesResume } from "./commands/nodes.ts";
import { outputs } from "./commands/outputs.ts";
import { publish } from "./commands/publish.ts";
import { referenceGet, referencePut } from "./commands/reference.ts";
import { replay } from "./commands/replay.ts";
import { restore } from "./commands/restore.ts";
import { shards } from "./commands/shards.ts";
import { snapshotCreate, snapshotList, snapshotShow, snapshotVerify } from "./commands/snapshots.ts";
import { start } from "./commands/start.ts";
import { stateExpiries, stateSizes } from "./commands/state.ts";
import { topology } from "./commands/topology.ts";
import { trim } from "./commands/trim.ts";
import { upgrade } from "./commands/upgrade.ts";
import { verify } from "./commands/verify.ts";
import { watermark } from "./commands/watermark.ts";
import type { Command } from "./framework/command.ts";

export const COMMANDS: readonly Command[] = [
  init,
  dev,
  start,
  node,
  publish,
  watermark,
  trim,
  referencePut,
  referenceGet,
  actors,
  ask,
  actor,
  outputs,
  explain,
  modelsList,
  modelsPut,
  modelsActivate,
  modelsCheck,
  budgetsList,
  deadLettersList,
  deadLettersShow,
  deadLettersRedrive,
  shards,
  snapshotCreate,
  snapshotList,
  snapshotShow,
  snapshotVerify,
  verify,
  stateSizes,
  stateExpiries,
  restore,
  generationsList,
  generationsSwitch,
  generationsDrop,
  migrate,
  upgrade,
  buildsList,
  buildsUnpack,
  replay,
  jobs,
  nodes,
  nodesDrain,
  nodesResume,
  mirrorSync,
  mirrorStatusCommand,
  mirrorPromote,
  topology,
  doctor,
  natsConfig,
  completion,
];
