/** What a process of {@link runApart} begins with: it is the least important one, and ends with its node. */
import { constants, setPriority } from "node:os";

/** Resolves with the task. */
export function taskApart<Task>(): Promise<Task> {
  // Without its node it has nobody to tell.
  process.once("disconnect", () => process.exit(0));
  setPriority(constants.priority.PRIORITY_LOW);
  return new Promise((resolve) => process.once("message", (task) => resolve(task as Task)));
}

/** Resolves when the node has it. */
export function tell(message: object): Promise<void> {
  return new Promise((resolve) => {
    process.send!(message, () => resolve());
  });
}
