/** The ledger in other files: another hash under the same version. */
import jobs from "../ledger-app.ts";

export default jobs;
