/** The ledger under a new name, which folds the log by itself. */
import jobs from "../ledger-app.ts";

export default jobs.filter(({ name }) => name === "ledger").map((job) => ({ ...job, name: "ledger-b" }));
