/** The jobs that ship: what `npm start` runs. */
import cases from "./cases/cases.ts";
import clicks from "./clicks/clicks.ts";
import conversations from "./conversations/conversations.ts";
import logins from "./logins/logins.ts";
import loginsByUser from "./logins-by-user/logins-by-user.ts";
import meter from "./meter/meter.ts";
import sensors from "./sensors/sensors.ts";
import transactions from "./transactions/transactions.ts";

export default [meter, cases, sensors, clicks, logins, loginsByUser, conversations, transactions];
