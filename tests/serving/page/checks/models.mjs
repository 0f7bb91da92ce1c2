// Which models there are, and what became of loading them.
import assert from "node:assert/strict";

/** Shows the page what a server would say that has other models. */
async function withModels(page, change) {
  await page.route("**/v1/models", async (route) => {
    const response = await route.fetch();
    const said = await response.json();
    change(said.models);
    await route.fulfill({ response, json: said });
  });
  await page.reload();
}

export const models = {
  "a model shows its kind, task, version and test metrics": async ({ visit, url }) => {
    const page = await visit.open(url);
    const { models: [{ current }] } = await (await fetch(`${url}/v1/models`)).json();
    await page.getByRole("heading", { level: 1, name: "clicks" }).waitFor();
    const part = await page.locator("#model").innerText();
    for (const text of ["DLRM", "a probability", current.version, "Log loss", "AUC", "600 test rows"]) {
      assert.ok(part.includes(text), `${text} in\n${part}`);
    }
    const shown = await page.locator("#model .tiles div", { hasText: "AUC" }).locator("dd").innerText();
    assert.equal(shown.split("\n")[0], current.metrics.test.auc.toPrecision(4));
    await page.locator("#model time").waitFor();
    assert.equal(await page.title(), "clicks – dlrm");
  },

  "several models are chosen from a list, and the choice outlives a reload": async ({ visit, url }) => {
    const page = await visit.open(url);
    await page.getByLabel("Model", { exact: true }).selectOption("ratings");
    await page.getByRole("heading", { level: 1, name: "ratings" }).waitFor();
    await page.getByText("factorization machine").first().waitFor();
    assert.equal(await page.getByLabel("genres", { exact: true }).count() > 0, true);
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "ratings" }).waitFor();
    await page.getByRole("table", { name: "All models" }).getByRole("button", { name: "clicks" }).click();
    await page.getByRole("heading", { level: 1, name: "clicks" }).waitFor();
  },

  "a single model needs no list": async ({ visit, house }) => {
    const page = await visit.open(await house.serve("runs/ratings"));
    await page.getByRole("heading", { level: 1, name: "ratings" }).waitFor();
    assert.equal(await page.getByLabel("Model", { exact: true }).isVisible(), false);
    assert.equal(await page.getByRole("table", { name: "All models" }).count(), 0);
  },

  "a version that cannot be loaded is told, with the reason": async ({ visit, house }) => {
    const page = await visit.open(await house.serve(house.copy("ratings", "harmed")));
    await page.getByRole("heading", { level: 1, name: "harmed" }).waitFor();
    await page.locator("#score").getByLabel("price").fill("3.25");
    house.damage("harmed");
    await page.getByText("could not be loaded; this one goes on").waitFor({ timeout: 60_000 });
    const warning = await page.locator("#model .warning").innerText();
    assert.match(warning, /manifest\.json: expected/);
    assert.equal(await page.locator("#score").getByLabel("price").inputValue(), "3.25", "what was typed stays");
    await visit.screenshot(page, "failed-load");
  },

  "a new version takes the place of the old one on the page, too": async ({ visit, house }) => {
    const url = await house.serve(house.copy("ratings", "renewed"));
    const page = await visit.open(url);
    await page.getByRole("heading", { level: 1, name: "renewed" }).waitFor();
    const { models: [{ current: before }] } = await (await fetch(`${url}/v1/models`)).json();
    house.replace("renewed", "clicks");
    await page.locator("#score").getByLabel("interests").waitFor({ timeout: 60_000 });
    const { models: [{ current }] } = await (await fetch(`${url}/v1/models`)).json();
    assert.notEqual(current.version, before.version);
    await page.getByRole("status").getByText(`Version ${current.version} of renewed answers now.`).waitFor();
    const facts = await page.locator("#model .facts").innerText();
    assert.match(facts, new RegExp(`Version before\\s+${before.version}`));
    assert.equal(await page.locator("#score").getByLabel("genres").count(), 0);
  },

  "a model that was never loaded shows why, and no form": async ({ visit, url }) => {
    const page = await visit.open(url);
    await withModels(page, (models) => {
      const failed = "runs/lost: expected a model, found none";
      models.splice(0, 2, { name: "lost", current: null, previous: null, failed });
    });
    await page.getByText("This model could not be loaded.").waitFor();
    await page.getByText("runs/lost: expected a model, found none").waitFor();
    for (const part of ["score", "recommend", "live"]) assert.equal(await page.locator(`#${part}`).isVisible(), false);
  },

  "intervals are shown where they are known": async ({ visit, url }) => {
    const page = await visit.open(url);
    await withModels(page, ([{ current }]) => {
      current.intervals = [{ metric: "auc", interval: { estimate: 0.72, low: 0.7012, high: 0.7391 } }];
    });
    await page.locator("#model .tiles div", { hasText: "AUC" }).getByText("95 %: 0.7012 to 0.7391").waitFor();
  },

  "links lead to the report, the API and the metrics": async ({ visit, url }) => {
    const page = await visit.open(url);
    const report = page.getByRole("link", { name: "Training report" });
    const [opened] = await Promise.all([page.context().waitForEvent("page"), report.click()]);
    await opened.waitForLoadState();
    assert.equal(new URL(opened.url()).pathname, "/report/clicks");
    assert.match(await opened.title(), /DLRM/);
    await opened.close();
    const link = page.getByRole("link", { name: "Metrics for Prometheus" });
    const metrics = await fetch(await link.evaluate((a) => a.href));
    assert.match(await metrics.text(), /^# HELP dlrm_/m);
    await page.getByRole("link", { name: "API documentation" }).click();
    await page.waitForURL(`${url}/docs`);
  },

  "a server that is gone is told": async ({ visit, house }) => {
    visit.expected.push("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET");
    const page = await visit.open(await house.serve("runs/ratings"));
    await page.getByRole("heading", { level: 1, name: "ratings" }).waitFor();
    house.servers.at(-1).removeAllListeners("exit");
    house.servers.at(-1).kill("SIGTERM");
    await page.locator("#problem").getByText("does not answer").waitFor({ timeout: 60_000 });
  },
};
