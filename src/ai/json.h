#pragma once
// JSON of other people: parsed within limits, read without surprises. Included by .cpp files of
// src/ai alone, because nlohmann/json.hpp is a costly header.
