// The documentation of the API.
import assert from "node:assert/strict";

export const docs = {
  "every operation of the document is listed under its tag": async ({ visit, url }) => {
    const page = await visit.open(url, "/docs");
    const api = await (await fetch(`${url}/openapi.json`)).json();
    await page.locator(".operation").first().waitFor();
    const expected = Object.entries(api.paths).flatMap(([path, item]) =>
      Object.keys(item).filter((key) => ["get", "post", "put", "delete", "patch"].includes(key))
        .map((method) => `${method.toUpperCase()} ${path}`));
    const shown = await page.locator(".operation summary").evaluateAll((all) =>
      all.map((summary) => `${summary.children[0].textContent} ${summary.children[1].textContent}`));
    assert.deepEqual(shown.sort(), expected.sort());
    const tags = await page.locator("#tags a").allInnerTexts();
    assert.ok(tags.length > 0);
    assert.equal(await page.locator("#operations section").count(), tags.length);
  },

  "an operation shows its body, example and answers, and can be tried": async ({ visit, url }) => {
    const page = await visit.open(url, "/docs");
    const operation = page.locator(".operation", { has: page.getByText("/v1/predict", { exact: true }) });
    await operation.locator("summary").click();
    await operation.getByRole("table", { name: "Body of POST /v1/predict" }).getByText("rows").first().waitFor();
    await operation.getByRole("table", { name: "Answers of POST /v1/predict" }).getByText("200").waitFor();
    await operation.getByRole("heading", { name: "Example" }).waitFor();
    const form = operation.getByRole("form", { name: "Try POST /v1/predict" });
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByText("Status 200").waitFor();
    assert.match(await form.locator("pre").nth(0).innerText(), /content-type: application\/json/);
    assert.match(await form.locator("pre").nth(1).innerText(), /"predictions"/);
    await visit.screenshot(page, "docs");
  },

  "what is tried and wrong is shown with its status": async ({ visit, url }) => {
    visit.expect(400);
    visit.expect(404);
    const page = await visit.open(url, "/docs");
    const operation = page.locator(".operation", { has: page.getByText("/v1/predict", { exact: true }) });
    await operation.locator("summary").click();
    const form = operation.getByRole("form");
    await form.getByLabel("Body").fill("{");
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByText("Status 400").waitFor();
    await form.getByLabel("Path").fill("//example.org/v1/predict");
    await form.getByRole("button", { name: "Send" }).click();
    await form.getByText("Status 404").waitFor();
  },

  "a path with a parameter is filled in": async ({ visit, url }) => {
    const page = await visit.open(url);
    await page.route("**/openapi.json", (route) => route.fulfill({ json: {
      openapi: "3.1.0",
      info: { title: "Parameters", version: "1" },
      paths: { "/v2/models/{model}": {
        parameters: [{ $ref: "#/components/parameters/Model" }],
        get: { summary: "A model", responses: { 200: { description: "It" } } },
      } },
      components: { parameters: { Model: {
        name: "model", in: "path", required: true, schema: { type: "string", enum: ["clicks"] },
        description: "Its name",
      } } },
    } }));
    await page.goto(`${url}/docs`);
    const operation = page.locator(".operation");
    await operation.locator("summary").click();
    const parameters = operation.getByRole("table", { name: "Parameters of GET /v2/models/{model}" });
    await parameters.getByText("Its name").waitFor();
    assert.equal(await operation.getByLabel("Path").inputValue(), "/v2/models/clicks");
    await operation.getByRole("button", { name: "Send" }).click();
    await operation.getByText("Status 200").waitFor();
  },

  "a server without the document says so": async ({ visit, url }) => {
    visit.expect(404);
    const page = await visit.open(url);
    await page.route("**/openapi.json", (route) => route.fulfill({ status: 404, contentType: "application/json",
      body: '{"error":"nothing is at \\"/openapi.json\\""}' }));
    await page.goto(`${url}/docs`);
    await page.locator("#problem").getByText("Nothing is at").waitFor();
  },
};
