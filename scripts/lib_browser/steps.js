// All steps, in the order in which they run.

import { STEPS as ACCESS } from "./steps_access.js";
import { STEPS as FILES } from "./steps_files.js";
import { STEPS as LISTINGS } from "./steps_listings.js";
import { STEPS as LIVE } from "./steps_live.js";
import { STEPS as LOOKS } from "./steps_looks.js";
import { STEPS as PAGES } from "./steps_pages.js";
import { STEPS as SECURE } from "./steps_secure.js";

export const STEPS = [...LISTINGS, ...FILES, ...ACCESS, ...PAGES, ...LOOKS, ...LIVE, ...SECURE];
