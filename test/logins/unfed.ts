/** The job by user without its pump: what is sent to its log moves its watermark, so that tests choose what comes when. */
import loginsByUser, { loginUser } from "../../actors/logins-by-user/logins-by-user.ts";
import { job } from "../../actors/model/job.ts";

const { name, log, settings } = loginsByUser;

export const unfedByUser = job(name, {
  log,
  actors: [loginUser],
  outOfOrderness: settings.outOfOrdernessMs,
  allowedLateness: settings.allowedLatenessMs,
  dedupeHorizon: settings.dedupeHorizonMs,
});
