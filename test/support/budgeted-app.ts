/** Writers whose calls count in budgets, as an app. */
import { writers } from "./budgeted.ts";

export default writers;
