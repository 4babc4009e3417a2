// Opens the live view of a running search in a real browser: models appear without reloading, tables sort and filter, a trial and the
// Q-table open, light and dark are remembered, the page survives a restart of the server; no error on the console, no request elsewhere,
// nothing wider than the window.
//
//     node check_serve.mjs METAQNN FOLDER [--screenshots FOLDER]
//
// METAQNN is the program; its study is made in FOLDER. The browser is $CHROMIUM, else chromium on the path.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const WIDTHS = [1280, 390];
const PATIENCE = 60_000;

const words = process.argv.slice(2);
const flag = words.indexOf("--screenshots");
const screenshots = flag < 0 ? null : words.splice(flag, 2)[1];
if (words.length !== 2) {
  console.error("usage: node check_serve.mjs METAQNN FOLDER [--screenshots FOLDER]");
  process.exit(2);
}
const [program, folder] = words;
const study = join(folder, "live.study");

const children = [];
process.on("exit", () => children.forEach((child) => child.kill()));

function start(args) {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] });
  children.push(child);
  return child;
}

async function serve(port) {
  const child = start(["serve", study, "--port", String(port), "--json"]);
  for await (const line of createInterface({ input: child.stdout })) return { child, ...JSON.parse(line) };
  throw new Error("the server did not start");
}

async function until(what, found) {
  const begin = Date.now();
  while (!(await found())) {
    if (Date.now() - begin > PATIENCE) throw new Error(`${what} did not happen within ${PATIENCE / 1000} s`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const problems = [];
const search = start([
  ..."search digits --budget 20m --seed 1 --workers 2 --set final.enabled=false --set training.train_images=800".split(" "),
  ...["--study", study],
]);
await until("the study", () => existsSync(study));
let server = await serve(0);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });

/** A page that notes whatever it should not do. */
async function open(width, colorScheme) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
  const page = await context.newPage();
  page.problem = (text) => page.isQuiet || problems.push(`at ${width} px: ${text}`);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.problem(message.text()));
  page.on("pageerror", (error) => page.problem(error.message));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== new URL(server.url).origin && !request.url().startsWith("data:")) {
      page.problem(`a request to ${request.url()}`);
    }
  });
  page.on("dialog", (dialog) => {
    page.problem(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  return page;
}

/** What every page must be. */
async function look(page, name) {
  const found = await page.evaluate(() => ({
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    untold: [...document.querySelectorAll("svg")].filter((svg) => !svg.getAttribute("aria-label")).length,
    unnamed: [...document.querySelectorAll("input:not([type=hidden]), select")].filter((input) => !input.labels.length).length,
    titles: document.querySelectorAll("h1").length,
  }));
  if (found.wide > 0) page.problem(`${name} is ${found.wide} px wider than the window`);
  if (found.untold > 0) page.problem(`${name}: ${found.untold} drawings without a label`);
  if (found.unnamed > 0) page.problem(`${name}: ${found.unnamed} inputs without a label`);
  if (found.titles !== 1) page.problem(`${name}: ${found.titles} titles`);
  const file = `${name}-${page.viewportSize().width}`;
  if (screenshots) await page.screenshot({ path: join(screenshots, `${file}.png`), fullPage: true });
}

const models = (page) => page.locator(".facts dd").first().innerText().then((text) => parseInt(text, 10));
const columnOf = async (page, column) => (await page.locator(`table.trials tbody tr td:nth-child(${column})`).allInnerTexts()).map((text) => text.trim());

async function grows(page) {
  await page.evaluate(() => (window.isTheSamePage = true));
  const before = await models(page);
  await until("two more models", async () => (await models(page)) >= before + 2);
  if (!(await page.evaluate(() => window.isTheSamePage))) page.problem("the page was loaded again");
}

async function sorts(page) {
  await page.locator("#sort-valid").click();
  await until("sorting", async () => (await page.locator("th[aria-sort=descending] #sort-valid").count()) === 1);
  const values = (await columnOf(page, 2)).map(parseFloat).filter((value) => !Number.isNaN(value));
  if (values.length < 2 || values.some((value, place) => place > 0 && value > values[place - 1])) page.problem(`not sorted: ${values}`);
  if (!page.url().includes("sort=valid")) page.problem("the address does not tell how the table is sorted");
}

async function filters(page) {
  await page.locator("input[name=search]").fill("FC");
  await until("filtering", async () => page.url().includes("search=FC"));
  await until("the found rows", async () => (await columnOf(page, 10)).every((text) => text.includes("FC(")));
  await page.locator("input[name=search]").fill("");
  await page.locator("select[name=outcome]").selectOption("complete");
  await until("filtering by outcome", async () => (await columnOf(page, 9)).every((text) => text === "complete"));
  if (!page.url().includes("sort=valid")) page.problem("filtering forgot how the table is sorted");
}

async function opensATrial(page) {
  await page.locator("table.trials tbody a").first().click();
  await page.locator("h1", { hasText: /^Trial \d+$/ }).waitFor();
  await page.getByText("just before the agent learned").waitFor({ timeout: PATIENCE });
  const drawn = await page.locator("svg.network").count();
  if (drawn !== 1 || (await page.locator("svg.chart").count()) < 2) page.problem("a trial without its drawings");
  if (!(await page.locator("pre").innerText()).includes("metaqnn train '[")) page.problem("no command to train it again");
  await look(page, "trial");
}

async function turnsDark(page, name) {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await page.getByRole("button", { name: "Show in dark colours" }).click();
  if ((await ground()) === before) page.problem("dark is as light as light");
  await page.reload();
  if ((await ground()) === before) page.problem("dark is forgotten");
  await page.locator("#connection[data-state=live]").waitFor();
  await look(page, name);
}

async function isUsedByKeyboard(page) {
  await page.goto(server.url);
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement.textContent);
  if ((await focused()) !== "To the content") page.problem(`the first stop of the keyboard is ${await focused()}`);
  const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  if (outline === "none") page.problem("the focus cannot be seen");
  await page.locator("#sort-epsilon").focus();
  await page.keyboard.press("Enter");
  await until("sorting by keyboard", async () => (await page.locator("th[aria-sort] #sort-epsilon").count()) === 1);
  if ((await page.evaluate(() => document.activeElement.id)) !== "sort-epsilon") page.problem("sorting loses the focus");
}

async function outlivesTheServer(page) {
  await page.goto(server.url);
  await page.locator("#connection[data-state=live]").waitFor();
  page.isQuiet = true; // The browser reports refused connections as errors.
  server.child.kill();
  await page.locator("#connection[data-state=lost]").waitFor({ timeout: PATIENCE });
  server = await serve(server.port);
  await page.locator("#connection[data-state=live]").waitFor({ timeout: PATIENCE });
  page.isQuiet = false;
  await grows(page);
}

try {
  for (const width of WIDTHS) {
    const page = await open(width, "light");
    await page.goto(server.url);
    await page.locator("#connection[data-state=live]").waitFor({ timeout: PATIENCE });
    await grows(page);
    await page.locator(".trainings li").first().waitFor({ timeout: PATIENCE });
    await page.locator("#figure-q-by-layer svg").waitFor({ timeout: PATIENCE });
    await look(page, "study");
    await sorts(page);
    await filters(page);
    await opensATrial(page);
    await page.goto(new URL("/study/1/q-table", server.url).href);
    await page.locator("td.q").first().waitFor({ timeout: PATIENCE });
    await look(page, "q-table");
    await page.goto(server.url);
    await turnsDark(page, "study-dark");
    await isUsedByKeyboard(page);
    if (width === WIDTHS[0]) await outlivesTheServer(page);
    await page.context().close();
  }
  // The end of the search, without reloading.
  const page = await open(WIDTHS[0], "dark");
  await page.goto(server.url);
  await page.locator(".standing.running").waitFor({ timeout: PATIENCE });
  const ended = new Promise((done) => search.on("exit", done));
  search.kill("SIGINT");
  await ended;
  await page.locator(".standing.stopped").waitFor({ timeout: PATIENCE });
  await look(page, "ended");
} catch (error) {
  problems.push(error.message);
}
await browser.close();
children.forEach((child) => child.kill());
for (const problem of problems) console.error(problem);
console.log(`live view at ${WIDTHS.length} widths: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
