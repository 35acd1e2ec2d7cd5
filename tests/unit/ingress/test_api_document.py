"""What the service says of itself: its OpenAPI document and its docs."""

import re


async def test_openapi_describes_limits_defaults_and_errors(api):
    document = (await api.client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/api/generate",
        "/api/variation",
        "/api/results",
        "/generated/{key}.json",
        "/v1/models",
        "/v1/models/{model}",
        "/v1/images/edits",
        "/v1/images/variations",
        "/api/jobs",
        "/api/jobs/{job}",
        "/api/models",
        "/api/ready",
        "/generated/{key}.png",
        "/generated/{key}.jpg",
        "/generated/{key}.webp",
        "/api/cutout",
        "/cutouts/{key}.png",
        "/cutouts/{key}-mask.png",
    }
    form = document["components"]["schemas"]["GenerateForm"]
    # Not image, with a cutout; nor prompt and model, where no model paints.
    assert "required" not in form
    assert form["additionalProperties"] is False
    number = form["properties"]["num_images"]
    assert (number["default"], number["minimum"], number["maximum"]) == (4, 1, 8)
    assert form["properties"]["model"]["enum"] == ["stable-diffusion", "controlnet"]
    assert form["properties"]["prompt"]["maxLength"] == 2000
    assert all("description" in field for field in form["properties"].values())
    assert form["properties"]["preserve_product"]["enum"] == ["auto", "true", "false"]
    assert form["properties"]["product_mask"]["type"] == "string"
    kinds = document["paths"]["/api/variation"]["post"]["requestBody"]["content"]
    assert kinds["application/json"]["schema"] == {"$ref": "#/components/schemas/VariationBody"}
    assert kinds["multipart/form-data"]["schema"] == {"$ref": "#/components/schemas/VariationForm"}
    bodies = document["components"]["schemas"]
    assert bodies["VariationBody"]["required"] == ["image_url"]
    assert "background_image" in bodies["VariationForm"]["properties"]
    body = bodies["VariationBody"]["properties"]
    assert "background_image" not in body
    assert body["preserve_product"]["anyOf"] == [
        {"type": "string", "enum": ["auto", "true", "false"]},
        {"type": "boolean"},
        {"type": "null"},
    ]
    assert body["preserve_product"]["default"] == "auto"
    assert "product_mask" not in body
    generate = document["paths"]["/api/generate"]["post"]
    statuses = ["200", "202", "400", "401", "403", "404", "408", "409", "413", "415", "429"]
    statuses += ["500", "503", "504"]
    assert {header["name"] for header in generate["parameters"]} == {
        "Idempotency-Key", "X-Deadline-Seconds", "Prefer",
    }  # fmt: skip
    assert sorted(generate["responses"]) == statuses
    assert "text/event-stream" in generate["responses"]["200"]["content"]
    assert "Retry-After" in generate["responses"]["429"]["headers"]
    removal = document["paths"]["/generated/{key}.png"]["delete"]
    assert sorted(removal["responses"]) == ["204", "400", "401", "403", "404", "500", "503"]


async def test_docs_need_no_other_server(api):
    page = await api.client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert links
    for link in links:
        assert "//" not in link
        asset = await api.client.get(f"/{link}")
        assert asset.status_code == 200, link
