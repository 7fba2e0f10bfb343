// Pulling from registries, good and bad, into a store in memory.

#include <future>

#include "base/failpoint.h"
#include "tests/unit/image/pull_fixture.h"

namespace wherry::image_test {
namespace {

TEST_F(Pull, ATagIsResolvedFetchedUnpackedAndRecorded) {
  const TestImage& image = three_layers();
  const std::string name = registry_.add(image, "a/web", "1");
  std::vector<runtime::PullProgress> progress;
  const auto pulled =
      service_->pull({name, {}, [&](const auto& now) { progress.push_back(now); }}, CancelToken());
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(pulled->name, name);
  EXPECT_EQ(pulled->digest, image.digest());
  ASSERT_FALSE(progress.empty());
  EXPECT_EQ(progress.back().done_bytes, pulled->size);
  EXPECT_EQ(progress.back().total_bytes, pulled->size);
  EXPECT_TRUE(store_.leases.empty());
  EXPECT_TRUE(store_.ingests.empty());
  store_.collect();
  EXPECT_EQ(store_.blobs.size(), 5u);
  EXPECT_EQ(store_.snapshots.size(), 3u);
  EXPECT_EQ(service_->find(name)->digest, image.digest());
  EXPECT_EQ(
      store_.blobs[sha256_digest(big_blob())].labels,
      (runtime::StringMap{{"containerd.io/uncompressed", image.layers[0].diff_id},
                          {"containerd.io/distribution.source." + registry_.host(), "a/web"}}));
  EXPECT_LE(store_.largest_write, 256u << 10) << "layers go through in pieces";
}

TEST_F(Pull, WhatIsThereIsNotFetchedAgain) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  ASSERT_TRUE(pull(name));
  ASSERT_TRUE(pull(name));
  EXPECT_EQ(registry_.count("GET", "/blobs/"), 4);
  EXPECT_EQ(registry_.count("GET", "/manifests/"), 1);
  EXPECT_EQ(store_.calls["unpack_layer"], 3);

  const TestImage more = make_image({three_layers().layers[0], make_layer("d", "new")});
  ASSERT_TRUE(pull(registry_.add(more, "web", "2")));
  EXPECT_EQ(registry_.count("GET", "/blobs/"), 6) << "config and one layer";
  EXPECT_EQ(store_.calls["unpack_layer"], 4);

  const size_t before = registry_.seen().size();
  ASSERT_TRUE(pull(registry_.host() + "/web@" + more.digest()));
  EXPECT_EQ(registry_.seen().size(), before) << "a digest that is there needs no network";
}

TEST_F(Pull, WhatIsThereIsToldBeforeAnythingIsFetched) {
  store_.fault = [&](const std::string& method, const std::string&) -> Status {
    if (method != "unpack_layer") return {};
    return fail(Code::ResourceExhausted, "no room", runtime::kDiskFull);
  };
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::vector<runtime::PullProgress> progress;
  const auto note = [&](const auto& now) { progress.push_back(now); };
  ASSERT_FALSE(service_->pull({name, {}, note}, {}));
  ASSERT_FALSE(progress.empty());
  EXPECT_LT(progress.front().done_bytes, progress.front().total_bytes);
  const int64_t arrived = progress.back().done_bytes;
  progress.clear();
  ASSERT_FALSE(service_->pull({name, {}, note}, {}));
  ASSERT_FALSE(progress.empty());
  EXPECT_GE(progress.front().done_bytes, arrived) << "no gain of the second attempt";
}

TEST_F(Pull, LayersThatCameWithAnotherImageStayThoughThatIsRemovedMeanwhile) {
  const std::string base = registry_.add(three_layers(), "base", "1");
  ASSERT_TRUE(pull(base));
  TestImage more = make_image({three_layers().layers[0], make_layer("d", "new")});
  const std::string name = registry_.add(more, "web", "1");
  store_.calls.clear();
  store_.fault = [&](const std::string& method, const std::string&) -> Status {
    if (method == "unpack_layer") {
      const std::lock_guard lock(store_.mutex);
      store_.records.erase(base);
    }
    if (method == "unpack_layer") store_.collect();
    return {};
  };
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(store_.calls["unpack_layer"], 1) << "only its own";
  store_.fault = {};
  EXPECT_TRUE(service_->find(name));
  EXPECT_FALSE(service_->find(base));
}

TEST_F(Pull, AnIndexGivesThePlatformOfTheDevice) {
  const TestImage& mine = three_layers();
  const std::string index =
      R"({"schemaVersion":2,"manifests":[)" +
      descriptor_json("x", kManifestType, R"(,"platform":{"os":"linux","architecture":"arm64"})") +
      "," +
      descriptor_json(mine.manifest, kManifestType,
                      R"(,"platform":{"os":"linux","architecture":"amd64"})") +
      "]}";
  registry_.add(mine, "web", "plain");
  registry_.add_manifest("web", "1", index, kIndexType);
  const auto pulled = pull(registry_.host() + "/web:1");
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(pulled->digest, sha256_digest(index));
  store_.collect();
  EXPECT_TRUE(service_->find(registry_.host() + "/web@" + sha256_digest(index)));

  options_.platform = {"linux", "s390x", ""};
  service_ = std::make_unique<runtime::ImageService>(store_, options_);
  const auto none = pull(registry_.host() + "/web:1");
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().full(), HasSubstr("nothing for linux/s390x; it has linux/arm64"));
}

TEST_F(Pull, ARegistryThatAnswersHeadPoorlyIsAskedForTheDocument) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([](const Request& request, Response& response) {
    if (request.method != "HEAD") return false;
    refuse(response, 405);
    return true;
  });
  EXPECT_TRUE(pull(name));
}

TEST_F(Pull, ABrokenConnectionIsContinuedWhereItBrokeOff) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::atomic<int> cuts{2};
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob()) || cuts-- <= 0) return false;
    cut_off(request, response, big_blob(), 100'000);
    return true;
  });
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  std::vector<std::string> ranges;
  for (const auto& each : registry_.seen()) {
    if (each.path.ends_with(sha256_digest(big_blob()))) ranges.push_back(each.range);
  }
  EXPECT_EQ(ranges, (std::vector<std::string>{"", "bytes=100000-", "bytes=200000-"}));
}

TEST_F(Pull, ADamagedDocumentInTheStoreIsReplacedAndItsLayersStay) {
  const TestImage& image = three_layers();
  const std::string name = registry_.add(image, "web", "1");
  ASSERT_TRUE(pull(name));
  for (const std::string& bytes : {image.manifest, image.config}) {
    std::string& stored = store_.blobs[sha256_digest(bytes)].bytes;
    stored[5] ^= 1;
    restart();
    EXPECT_EQ(service_->find(name).error().code(), Code::DataLoss);
    const auto pulled = pull(name);
    ASSERT_TRUE(pulled) << pulled.error().full();
    restart();
    EXPECT_TRUE(service_->find(name));
    store_.collect();
    EXPECT_TRUE(service_->find(name)) << "with the labels that keep the rest";
  }
  EXPECT_EQ(registry_.count("GET", sha256_digest(big_blob())), 1);
  EXPECT_EQ(store_.calls["unpack_layer"], 3);
  EXPECT_EQ(store_.calls["remove_blob"], 2);
}

// Containerd's books outlive a power cut that the files named there do not.
TEST_F(Pull, LayersThatAPowerCutTookFromTheStoreAreFetchedAgain) {
  const TestImage& image = three_layers();
  const std::string name = registry_.add(image, "web", "1");
  ASSERT_TRUE(pull(name));
  store_.snapshots.clear();
  ASSERT_EQ(image.layers.size(), 3u);
  store_.lost.insert(sha256_digest(image.layers[0].blob));
  store_.blobs[sha256_digest(image.layers[1].blob)].bytes.resize(20);
  restart();
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_EQ(registry_.count("GET", sha256_digest(image.layers[0].blob)), 2);
  EXPECT_EQ(registry_.count("GET", sha256_digest(image.layers[1].blob)), 2);
  EXPECT_EQ(registry_.count("GET", sha256_digest(image.layers[2].blob)), 1) << "that was sound";
  EXPECT_EQ(store_.calls["remove_blob"], 2);
  restart();
  EXPECT_TRUE(service_->find(name));
}

// Nothing is fetched again for an image that is wrong where it comes from.
TEST_F(Pull, ASoundLayerThatDoesNotUnpackIsNotFetchedAgain) {
  const TestImage& image = three_layers();
  const std::string name = registry_.add(image, "web", "1");
  store_.fault = [&](const std::string& method, const std::string&) {
    return method == "unpack_layer" ? Status(fail(Code::DataLoss, "no tar archive")) : Status();
  };
  EXPECT_EQ(pull(name).error().code(), Code::DataLoss);
  EXPECT_EQ(pull(name).error().code(), Code::DataLoss);
  EXPECT_EQ(registry_.count("GET", sha256_digest(image.layers[0].blob)), 1);
  EXPECT_EQ(store_.calls["remove_blob"], 0);
}

// Nor where it cannot be told, as when containerd has too many files open.
TEST_F(Pull, ALayerThatCannotBeReadJustNowStays) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  ASSERT_TRUE(pull(name));
  store_.snapshots.clear();
  const std::string layer = sha256_digest(three_layers().layers[0].blob);
  store_.fault = [&](const std::string& method, const std::string& about) {
    const bool reads = method == "read_blob" && about == layer;
    return method == "unpack_layer" || reads ? Status(fail(Code::Internal, "too many open files"))
                                             : Status();
  };
  restart();
  EXPECT_EQ(pull(name).error().code(), Code::Internal);
  EXPECT_EQ(store_.calls["remove_blob"], 0);
  store_.fault = nullptr;
  EXPECT_TRUE(pull(name));
}

TEST_F(Pull, AnotherAgentContinuesWhatOneBegan) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    if (!request.ranges.empty()) return refuse(response, 404), true;
    cut_off(request, response, big_blob(), 100'000);
    return true;
  });
  ASSERT_FALSE(pull(name));
  ASSERT_EQ(store_.ingests["layer-" + sha256_digest(big_blob())].size(), 100'000u);
  registry_.script(nullptr);
  restart();
  ASSERT_TRUE(pull(name));
  const auto seen = registry_.seen();
  EXPECT_TRUE(std::any_of(seen.begin(), seen.end(), [](const auto& each) {
    return each.range == "bytes=100000-" && each.path.ends_with(sha256_digest(big_blob()));
  }));
}

TEST_F(Pull, ADamagedBeginningIsThrownAwayAndFetchedAgain) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  store_.ingests["layer-" + sha256_digest(big_blob())] = std::string(50'000, 'x');
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  EXPECT_TRUE(store_.ingests.empty());
}

TEST_F(Pull, ARegistryThatCannotContinueStartsOver) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  store_.ingests["layer-" + sha256_digest(big_blob())] = big_blob().substr(0, 70'000);
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    send_from_start(response, big_blob());
    return true;
  });
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
}

// Half of it, and then nothing beyond that half: again and again would cost the image each time.
TEST_F(Pull, ABlobThatIsShorterThanAnnouncedIsGivenUpAfterTwoTries) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  const std::string half = big_blob().substr(0, big_blob().size() / 2);
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    if (request.has_header("Range")) {
      refuse(response, 416);
    } else {
      response.set_content(half, "application/octet-stream");
    }
    return true;
  });
  expect_failure(name, Code::DataLoss, "has no more than " + std::to_string(half.size()) + " of");
  EXPECT_LE(registry_.count("GET", sha256_digest(big_blob())), 4);
}

TEST_F(Pull, APageInPlaceOfTheRestCostsNothingThatHasArrived) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  const std::string begun = big_blob().substr(0, big_blob().size() / 2);
  store_.ingests["layer-" + sha256_digest(big_blob())] = begun;
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    send_from_start(response, "<html>please log in</html>", "text/html; charset=utf-8");
    return true;
  });
  expect_failure(name, Code::Unavailable, "log-in page in between");
  EXPECT_TRUE(store_.ingests["layer-" + sha256_digest(big_blob())] == begun);
  registry_.script(nullptr);
  ASSERT_TRUE(pull(name));
}

TEST_F(Pull, AnAnswerOfAnotherLengthInPlaceOfTheRestCostsNothingThatHasArrived) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  const std::string begun = big_blob().substr(0, big_blob().size() / 2);
  store_.ingests["layer-" + sha256_digest(big_blob())] = begun;
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    response.set_header("Content-Length", "27");
    send_from_start(response, "please log in, dear customer", "application/octet-stream");
    return true;
  });
  expect_failure(name, Code::Unavailable, "log-in page in between");
  EXPECT_TRUE(store_.ingests["layer-" + sha256_digest(big_blob())] == begun);
}

TEST_F(Pull, WhoCannotContinueIsAskedForAllOfIt) {
  for (const char* range : {"", "bytes 5-9/*", "bytes 70000-79999/80000"}) {
    const std::string name = registry_.add(three_layers(), "web", "1");
    store_.ingests["layer-" + sha256_digest(big_blob())] = big_blob().substr(0, 70'000);
    registry_.script([&](const Request& request, Response& response) {
      if (!wants(request, big_blob()) || !request.has_header("Range")) return false;
      response.status = 206;
      response.set_content(big_blob().substr(70'000), "application/octet-stream");
      if (*range != '\0') response.set_header("Content-Range", range);
      return true;
    });
    const auto pulled = pull(name);
    ASSERT_TRUE(pulled) << range << pulled.error().full();
    ASSERT_TRUE(service_->remove(name));
  }
}

TEST_F(Pull, ALinkThatNeverHoldsGivesUpAndKeepsWhatItHas) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    cut_off(request, response, big_blob(), 10);
    return true;
  });
  expect_failure(name, Code::Unavailable,
                 "layer 1 of 3: " + registry_.host() + ": the connection broke off");
  EXPECT_EQ(store_.leases.size(), 1u) << "so that the collector leaves what has arrived";
  EXPECT_EQ(store_.ingests["layer-" + sha256_digest(big_blob())].size(), 50u);
  registry_.script(nullptr);
  ASSERT_TRUE(pull(name));
  EXPECT_TRUE(store_.leases.empty()) << "the same lease, dropped at the end";
}

TEST_F(Pull, WrongBytesNeverGetIn) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::string flipped = big_blob();
  flipped[1000] ^= 1;
  for (const std::string& bytes : {flipped, big_blob() + "x", std::string("<html>log in</html>")}) {
    registry_.script([&](const Request& request, Response& response) {
      if (!wants(request, big_blob())) return false;
      response.set_content(bytes, "application/octet-stream");
      return true;
    });
    const auto pulled = pull(name);
    ASSERT_FALSE(pulled);
    EXPECT_TRUE(pulled.error().code() == Code::DataLoss ||
                pulled.error().code() == Code::Unavailable)
        << pulled.error().full();
    EXPECT_FALSE(store_.blobs.contains(sha256_digest(big_blob())));
    EXPECT_TRUE(store_.records.empty());
  }
  EXPECT_EQ(store_.ingests["layer-" + sha256_digest(big_blob())].size() < 100, true)
      << "nothing wrong stays as the beginning of the next attempt";
}

TEST_F(Pull, AWrongManifestOrConfigIsRefused) {
  const TestImage& image = three_layers();
  const std::string name = registry_.add(image, "web", "1");
  for (const std::string& bytes : {image.manifest, image.config}) {
    registry_.script([&](const Request& request, Response& response) {
      if (request.method == "HEAD" || !wants(request, bytes)) return false;
      std::string wrong = bytes;
      wrong[5] ^= 1;
      response.set_content(wrong, kManifestType);
      return true;
    });
    const auto pulled = pull(name);
    ASSERT_FALSE(pulled);
    EXPECT_EQ(pulled.error().code(), Code::DataLoss) << pulled.error().full();
    EXPECT_TRUE(store_.records.empty());
  }
  registry_.script(nullptr);
  registry_.add_manifest("web", "lies", "{}", kManifestType);
  expect_failure(registry_.host() + "/web:lies", Code::InvalidArgument, "has no config");
  registry_.add_manifest("web", "huge", std::string(5 << 20, ' '), kManifestType);
  expect_failure(registry_.host() + "/web:huge", Code::InvalidArgument, "larger than 4 MiB");
  registry_.add_manifest("web", "html", "<html>", "text/html");
  expect_failure(registry_.host() + "/web:html", Code::Unavailable, "no image manifest");
  expect_nothing_left();
}

TEST_F(Pull, AMissingImageSaysSo) {
  expect_failure(registry_.host() + "/web:none", Code::NotFound,
                 "the registry does not have it (404");
  expect_failure("127.0.0.1:1/web:1", Code::Unavailable, "127.0.0.1:1: cannot connect");
  expect_failure("registry.invalid/web:1", Code::Unavailable, "the host name cannot be resolved");
  const auto bad = pull("Bad:Name:");
  EXPECT_EQ(bad.error().reason(), "InvalidImageName");
  expect_nothing_left();
}

TEST_F(Pull, ASilentRegistryStallsAndIsGivenUp) {
  options_.timeouts = {std::chrono::seconds(1), std::chrono::milliseconds(200)};
  service_ = std::make_unique<runtime::ImageService>(store_, options_);
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::promise<void> over;
  const auto done = over.get_future().share();
  // By value: the handler outlives this function's variables.
  registry_.script([done](const Request&, Response&) {
    done.wait();
    return false;
  });
  const auto pulled = pull(name);
  over.set_value();
  ASSERT_FALSE(pulled);
  EXPECT_THAT(pulled.error().full(), HasSubstr("stalled: no byte for 200ms"));
}

TEST_F(Pull, CancelEndsItAtOnce) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::promise<void> arrived, over;
  const auto done = over.get_future().share();
  std::atomic<bool> first{true};
  registry_.script([&](const Request& request, Response& response) {
    if (!wants(request, big_blob())) return false;
    response.set_content_provider(big_blob().size(), "x",
                                  [&, done](size_t offset, size_t, httplib::DataSink& sink) {
                                    if (offset == 0) return sink.write(big_blob().data(), 100'000);
                                    if (first.exchange(false)) arrived.set_value();
                                    done.wait();
                                    return false;
                                  });
    return true;
  });
  CancelToken cancel;
  auto pulled = std::async(std::launch::async, [&] { return service_->pull({name}, cancel); });
  arrived.get_future().wait();
  cancel.cancel();
  // The registry hangs for as long as we wait: only the cancel can end it.
  EXPECT_EQ(pulled.wait_for(std::chrono::seconds(4)), std::future_status::ready);
  over.set_value();
  EXPECT_EQ(pulled.get().error().code(), Code::Cancelled);
  EXPECT_TRUE(store_.records.empty());
  CancelToken already;
  already.cancel();
  EXPECT_EQ(service_->pull({name}, already).error().code(), Code::Cancelled);
}

TEST_F(Pull, TwoPullsOfOneImageFetchItOnce) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::vector<std::future<Result<Image>>> pulls;
  for (int i = 0; i < 4; ++i) {
    pulls.push_back(std::async(std::launch::async, [&] { return pull(name); }));
  }
  for (auto& each : pulls) {
    const auto pulled = each.get();
    EXPECT_TRUE(pulled) << pulled.error().full();
  }
  EXPECT_EQ(registry_.count("GET", sha256_digest(big_blob())), 1);
  EXPECT_EQ(store_.calls["unpack_layer"], 3);
}

TEST_F(Pull, AFailureAtAnyStepLeavesNoRecordAndTheNextAttemptWorks) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  for (const char* point : {"image.resolve", "image.lease", "image.manifest", "image.config",
                            "image.layer", "image.layer-commit", "image.unpack", "image.record"}) {
    failpoints_arm(std::string(point) + "=error");
    const auto pulled = pull(name);
    failpoints_arm("");
    ASSERT_FALSE(pulled) << point;
    EXPECT_TRUE(store_.records.empty()) << point;
    EXPECT_THAT(pulled.error().full(), HasSubstr(point));
  }
  ASSERT_TRUE(pull(name));
  EXPECT_TRUE(store_.leases.empty());
  EXPECT_TRUE(store_.ingests.empty());
}

TEST_F(Pull, AContainerdThatFailsInBetweenIsTriedAgain) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  std::atomic<int> failures{2};
  store_.fault = [&](const std::string& method, const std::string&) -> Status {
    if (method != "write" || failures-- > 0) return {};
    failures = 1000;
    return fail(Code::Unavailable, "connection to containerd lost");
  };
  const auto pulled = pull(name);
  ASSERT_TRUE(pulled) << pulled.error().full();
  store_.fault = nullptr;
  EXPECT_TRUE(service_->find(name));
}

TEST_F(Pull, AFullDiskIsToldAndNotTriedAgain) {
  const std::string name = registry_.add(three_layers(), "web", "1");
  store_.fault = [](const std::string& method, const std::string& what) -> Status {
    if (method != "write" || what != sha256_digest(big_blob())) return {};
    return fail(Code::ResourceExhausted, "no space left on device");
  };
  expect_failure(name, Code::ResourceExhausted, "no space left on device");
  EXPECT_EQ(registry_.count("GET", sha256_digest(big_blob())), 1);
}

}  // namespace
}  // namespace wherry::image_test
