// Which models there are, and what became of loading them.
import assert from "node:assert/strict";

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
    await page.getByText("could not be loaded; this one goes on").waitFor({ timeout: 20_000 });
    const warning = await page.locator("#model .warning").innerText();
    assert.match(warning, /manifest\.json: expected/);
    assert.equal(await page.locator("#score").getByLabel("price").inputValue(), "3.25", "what was typed stays");
    await visit.screenshot(page, "failed-load");
  },

  "links lead to the report, the API and the metrics": async ({ visit, url }) => {
    const page = await visit.open(url);
    const report = page.getByRole("link", { name: "Training report" });
    const [opened] = await Promise.all([page.context().waitForEvent("page"), report.click()]);
    await opened.waitForLoadState();
    assert.equal(new URL(opened.url()).pathname, "/report/clicks");
    assert.match(await opened.title(), /DLRM/);
    await opened.close();
    const metrics = await fetch(await page.getByRole("link", { name: "Metrics for Prometheus" }).evaluate((a) => a.href));
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
    await page.locator("#problem").getByText("does not answer").waitFor({ timeout: 20_000 });
  },
};
