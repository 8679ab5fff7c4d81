/** The ledger as a build of version 2. */
import jobs from "../ledger-app.ts";

export default jobs.map((job) => ({ ...job, version: 2 }));
