// ImageBackend on a real containerd, fed with an image made on the spot.

#include <csignal>
#include <filesystem>
#include <future>
#include <set>
#include <string>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/text.h"
#include "runtime/containerd/image_backend.h"
#include "runtime/image/store.h"
#include "tests/support/containerd_daemon.h"

namespace wherry::runtime {
namespace {

using test::ContainerdDaemon;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kNamespace = "wherry-backend";
constexpr const char* kLease = "test-pull";

class ContainerdBackend : public testing::Test {
 protected:
  static void SetUpTestSuite() { daemon_ = new ContainerdDaemon; }
  static void TearDownTestSuite() {
    delete daemon_;
    daemon_ = nullptr;
  }
  void SetUp() override {
    client_ = std::make_unique<Client>(ClientOptions{daemon_->socket(), kNamespace, "overlayfs"});
    backend_ = make_containerd_backend(*client_, clock_);
    const Status leased = backend_->create_lease(kLease, std::chrono::hours(1));
    ASSERT_TRUE(leased) << leased.error().full();
    ASSERT_TRUE(backend_->create_lease(kLease, std::chrono::hours(1))) << "exists: success";
  }
  void TearDown() override {
    const Status dropped = backend_->drop_lease(kLease);
    EXPECT_TRUE(dropped) << dropped.error().full();
    EXPECT_TRUE(backend_->drop_lease(kLease)) << "missing: success";
  }

  static Descriptor descriptor(const std::string& bytes, const std::string& type = "text/plain") {
    return {type, sha256_digest(bytes), static_cast<int64_t>(bytes.size())};
  }
  void ingest(const std::string& ref, const std::string& bytes) {
    auto writer = backend_->open_blob(ref, descriptor(bytes), kLease);
    ASSERT_TRUE(writer) << writer.error().full();
    const Status written = (*writer)->write(bytes);
    ASSERT_TRUE(written) << written.error().full();
    const Status committed = (*writer)->commit({});
    ASSERT_TRUE(committed) << committed.error().full();
  }
  // Random, so that no test finds what another one stored.
  static std::string some_bytes(size_t size) {
    std::string bytes = random_hex(64);
    while (bytes.size() < size) bytes += bytes;
    return bytes.substr(0, size);
  }

  std::set<std::string> snapshots() {
    std::set<std::string> names;
    const auto all = client_->snapshots().list({});
    EXPECT_TRUE(all) << all.error().full();
    if (!all) return names;
    for (const SnapshotInfo& each : *all) names.insert(each.name);
    return names;
  }

  static ContainerdDaemon* daemon_;
  SystemClock clock_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<ImageBackend> backend_;
};

ContainerdDaemon* ContainerdBackend::daemon_ = nullptr;

TEST_F(ContainerdBackend, StoresAndReadsABlob) {
  const std::string bytes = some_bytes(3'000'000);  // several messages in each direction
  ingest("blob", bytes);
  const auto stat = backend_->stat_blob(sha256_digest(bytes));
  ASSERT_TRUE(stat) << stat.error().full();
  EXPECT_EQ(stat->size, 3'000'000);
  const auto all = backend_->read_blob(stat->digest, 0, stat->size);
  ASSERT_TRUE(all) << all.error().full();
  EXPECT_TRUE(*all == bytes);
  EXPECT_EQ(*backend_->read_blob(stat->digest, 100'000, 7), bytes.substr(100'000, 7));
  EXPECT_EQ(backend_->stat_blob(sha256_digest("absent")).error().code(), Code::NotFound);
}

TEST_F(ContainerdBackend, ContinuesAnIngestWhereItStopped) {
  const std::string bytes = some_bytes(200'000);
  {
    auto writer = backend_->open_blob("resumed", descriptor(bytes), kLease);
    ASSERT_TRUE(writer) << writer.error().full();
    EXPECT_EQ((*writer)->offset(), 0);
    ASSERT_TRUE((*writer)->write(std::string_view(bytes).substr(0, 150'000)));
    ASSERT_TRUE((*writer)->settle());
  }
  daemon_->kill();
  daemon_->start();
  auto writer = backend_->open_blob("resumed", descriptor(bytes), kLease);
  ASSERT_TRUE(writer) << writer.error().full();
  EXPECT_EQ((*writer)->offset(), 150'000);
  ASSERT_TRUE((*writer)->write(std::string_view(bytes).substr(150'000)));
  const Status committed = (*writer)->commit({{"containerd.io/gc.root", "now"}});
  ASSERT_TRUE(committed) << committed.error().full();
  EXPECT_TRUE(backend_->stat_blob(sha256_digest(bytes)));
}

// As one that hashes a large ingest first, for minutes: it hears, and does not answer.
TEST_F(ContainerdBackend, ACancelEndsTheWaitForAnIngestThatIsReadFirst) {
  const Descriptor large{"text/plain", sha256_digest("large"), int64_t{32} << 30};
  {
    auto writer = backend_->open_blob("large", large, kLease);
    ASSERT_TRUE((*writer)->write(some_bytes(1000)));
    ASSERT_TRUE((*writer)->settle());
  }
  EXPECT_EQ(*backend_->ingested("large"), 1000);
  EXPECT_EQ(*backend_->ingested("absent"), 0);

  ::kill(daemon_->pid(), SIGSTOP);
  siginfo_t stopped{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(daemon_->pid()), &stopped, WSTOPPED | WNOWAIT), 0);
  CancelToken cancel;
  auto opened = std::async(std::launch::async,
                           [&] { return backend_->open_blob("large", large, kLease, cancel); });
  EXPECT_EQ(opened.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  cancel.cancel();
  // Far below the two minutes after which it would be given up anyway.
  EXPECT_EQ(opened.wait_for(std::chrono::seconds(60)), std::future_status::ready);
  daemon_->kill();
  daemon_->start();
  EXPECT_EQ(opened.get().error().code(), Code::Cancelled);
}

TEST_F(ContainerdBackend, RefusesBytesThatAreNotWhatTheirDigestSays) {
  const std::string bytes = some_bytes(1000);
  auto writer = backend_->open_blob("corrupt", descriptor(bytes), kLease);
  ASSERT_TRUE(writer) << writer.error().full();
  ASSERT_TRUE((*writer)->write(std::string(1000, 'x')));
  const Status committed = (*writer)->commit({});
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code(), Code::DataLoss) << committed.error().full();
  writer->reset();
  // Starting over makes it whole.
  auto again = backend_->open_blob("corrupt", descriptor(bytes), kLease);
  ASSERT_TRUE(again) << again.error().full();
  ASSERT_TRUE((*again)->truncate());
  EXPECT_EQ((*again)->offset(), 0);
  ASSERT_TRUE((*again)->write(bytes));
  const Status healed = (*again)->commit({});
  EXPECT_TRUE(healed) << healed.error().full();
}

TEST_F(ContainerdBackend, HasWhatWasWrittenOnceItIsSettled) {
  const std::string bytes = some_bytes(3 << 20);
  auto writer = backend_->open_blob("settled", descriptor(bytes), kLease);
  ASSERT_TRUE(writer) << writer.error().full();
  ASSERT_TRUE((*writer)->write(bytes));
  EXPECT_EQ((*writer)->offset(), 3 << 20);
  ASSERT_TRUE((*writer)->settle());
  EXPECT_EQ(backend_->ingested("settled").value_or(-1), 3 << 20);
  const Status committed = (*writer)->commit({});
  EXPECT_TRUE(committed) << committed.error().full();
}

TEST_F(ContainerdBackend, RefusesABlobOfTheWrongSize) {
  const std::string bytes = some_bytes(1000);
  auto writer = backend_->open_blob("short", descriptor(bytes), kLease);
  ASSERT_TRUE(writer) << writer.error().full();
  ASSERT_TRUE((*writer)->write(std::string_view(bytes).substr(0, 999)));
  EXPECT_EQ((*writer)->commit({}).error().code(), Code::DataLoss);
}

TEST_F(ContainerdBackend, TakesABlobThatIsThereAlready) {
  const std::string bytes = some_bytes(5000);
  ingest("first", bytes);
  auto writer = backend_->open_blob("second", descriptor(bytes), kLease);
  ASSERT_TRUE(writer) << writer.error().full();
  EXPECT_EQ((*writer)->offset(), 5000);
  EXPECT_TRUE((*writer)->commit({}));
}

// As a power cut may leave it: known to containerd, and other bytes on the disk.
TEST_F(ContainerdBackend, ARemovedBlobCanBeStoredAnew) {
  const std::string bytes = some_bytes(5000);
  const std::string digest = sha256_digest(bytes);
  ingest("once", bytes);
  const std::string file = daemon_->root() + "/io.containerd.content.v1.content/blobs/sha256/" +
                           digest.substr(digest.find(':') + 1);
  ASSERT_TRUE(std::filesystem::exists(file)) << file;
  std::filesystem::permissions(file, std::filesystem::perms::owner_write,
                               std::filesystem::perm_options::add);
  std::filesystem::resize_file(file, 100);
  EXPECT_NE(backend_->read_blob(digest, 0, 5000).value_or(""), bytes);
  const Status removed = backend_->remove_blob(digest);
  ASSERT_TRUE(removed) << removed.error().full();
  EXPECT_EQ(backend_->stat_blob(digest).error().code(), Code::NotFound);
  EXPECT_TRUE(backend_->remove_blob(digest)) << "missing: success";
  ingest("again", bytes);
  EXPECT_EQ(*backend_->read_blob(digest, 0, 5000), bytes);
  EXPECT_EQ(*backend_->list_leases(), std::vector<std::string>{kLease});
}

TEST_F(ContainerdBackend, MergesLabels) {
  const std::string bytes = some_bytes(100);
  ingest("labelled", bytes);
  const std::string digest = sha256_digest(bytes);
  ASSERT_TRUE(backend_->set_blob_labels(digest, {{"containerd.io/gc.ref.content.0", digest}}));
  ASSERT_TRUE(backend_->set_blob_labels(digest, {{"b", "2"}}));
  const auto stat = backend_->stat_blob(digest);
  ASSERT_TRUE(stat) << stat.error().full();
  EXPECT_EQ(stat->labels.at("containerd.io/gc.ref.content.0"), digest);
  EXPECT_EQ(stat->labels.at("b"), "2");
}

TEST_F(ContainerdBackend, KeepsImageRecords) {
  const std::string bytes = some_bytes(64);
  ingest("target", bytes);
  ImageRecord image{"registry.local/a:1", descriptor(bytes), {{"k", "v"}}, {}, {}};
  ASSERT_TRUE(backend_->put_image(image, kLease));
  image.labels = {{"k", "w"}};
  const Status updated = backend_->put_image(image, kLease);
  ASSERT_TRUE(updated) << updated.error().full();
  const auto images = backend_->images();
  ASSERT_TRUE(images) << images.error().full();
  ASSERT_THAT(*images, SizeIs(1));
  EXPECT_EQ(images->front().name, "registry.local/a:1");
  EXPECT_EQ(images->front().target.digest, sha256_digest(bytes));
  EXPECT_EQ(images->front().labels, (StringMap{{"k", "w"}}));
  EXPECT_TRUE(backend_->remove_image("registry.local/a:1"));
  EXPECT_TRUE(backend_->remove_image("registry.local/a:1"));
  EXPECT_THAT(*backend_->images(), IsEmpty());
}

// A tar archive with one empty file, by hand: 512 bytes of header and two blocks of zeros.
std::string tiny_layer(const std::string& name) {
  std::string tar(512 * 3, '\0');
  const auto put = [&](size_t at, const std::string& text) { tar.replace(at, text.size(), text); };
  put(0, name);
  put(100, "0000644");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000000");
  put(136, "00000000000");
  put(156, "0");
  put(257, "ustar");
  put(263, "00");
  put(148, std::string(8, ' '));
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += static_cast<unsigned char>(tar[i]);
  char octal[8];
  std::snprintf(octal, sizeof octal, "%06o", sum);
  put(148, octal);
  tar[154] = '\0';
  return tar;
}

TEST_F(ContainerdBackend, UnpacksLayersByChainId) {
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  const std::string first = tiny_layer(random_hex(8));
  const std::string second = tiny_layer(random_hex(8));
  ingest("layer-1", first);
  ingest("layer-2", second);
  const std::string chain_1 = sha256_digest(first);
  const std::string chain_2 = sha256_digest(chain_1 + " " + sha256_digest(second));
  ASSERT_FALSE(*backend_->has_snapshot(chain_1));

  const Status wrong = backend_->unpack_layer(descriptor(first, type), "", chain_1,
                                              sha256_digest("other"), kLease, {});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code(), Code::DataLoss) << wrong.error().full();
  ASSERT_FALSE(*backend_->has_snapshot(chain_1));

  for (int twice = 0; twice < 2; ++twice) {
    const Status one = backend_->unpack_layer(descriptor(first, type), "", chain_1,
                                              sha256_digest(first), kLease, {});
    ASSERT_TRUE(one) << one.error().full();
    const Status two = backend_->unpack_layer(descriptor(second, type), chain_1, chain_2,
                                              sha256_digest(second), kLease, {});
    ASSERT_TRUE(two) << two.error().full();
  }
  EXPECT_TRUE(*backend_->has_snapshot(chain_1));
  EXPECT_TRUE(*backend_->has_snapshot(chain_2));
  EXPECT_THAT(*client_->snapshots().list({}), SizeIs(2)) << "no draft is left";
  CancelToken cancel;
  cancel.cancel();
  EXPECT_EQ(backend_
                ->unpack_layer(descriptor(first, type), "", "sha256:other", sha256_digest(first),
                               kLease, cancel)
                .error()
                .code(),
            Code::Cancelled);
}

TEST_F(ContainerdBackend, WritesABlobAsAFileOverLayers) {
  const std::string below = tiny_layer("below");
  const std::string bytes = some_bytes(2'500'000);
  ingest("layer-1", below);
  ingest("blob-1", bytes);
  const std::string chain_1 = sha256_digest("first " + random_hex(8));
  const std::string chain_2 = sha256_digest(chain_1);
  // Without a diff id what a layer unpacks to is not checked.
  ASSERT_TRUE(backend_->unpack_layer(descriptor(below, "application/vnd.oci.image.layer.v1.tar"),
                                     "", chain_1, "", kLease, {}));
  Descriptor blob = descriptor(bytes);
  blob.file = "a/b/file";
  const Status written = backend_->unpack_layer(blob, chain_1, chain_2, "", kLease, {});
  ASSERT_TRUE(written) << written.error().full();
  const auto mounts = client_->snapshots().view(random_hex(8), chain_2, kLease, nullptr);
  ASSERT_TRUE(mounts) << mounts.error().full();
  ASSERT_THAT((*mounts)[0].options, testing::Contains(testing::StartsWith("lowerdir=")));
  std::string top;
  for (const std::string& option : (*mounts)[0].options) {
    if (option.starts_with("lowerdir=")) top = option.substr(9, option.find(':') - 9);
  }
  EXPECT_EQ(test::read_text(top + "/a/b/file"), bytes);
  EXPECT_EQ(std::filesystem::status(top + "/a/b/file").permissions(), std::filesystem::perms(0644));
  EXPECT_EQ(std::filesystem::status(top + "/a").permissions(), std::filesystem::perms(0755));

  const std::set<std::string> before = snapshots();
  blob.digest = sha256_digest("what is not there");
  const Status missing = backend_->unpack_layer(blob, "", "sha256:missing", "", kLease, {});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::NotFound) << missing.error().full();
  EXPECT_FALSE(*backend_->has_snapshot("sha256:missing"));
  // Those of other tests may go meanwhile.
  for (const std::string& each : snapshots()) EXPECT_TRUE(before.contains(each)) << each;
}

TEST_F(ContainerdBackend, KeepsASnapshotWithThoseBelowIt) {
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  const std::string first = tiny_layer("one"), second = tiny_layer("two");
  ingest("layer-1", first);
  ingest("layer-2", second);
  const std::string chain_1 = sha256_digest(random_hex(8)), chain_2 = sha256_digest(random_hex(8));
  ASSERT_TRUE(backend_->unpack_layer(descriptor(first, type), "", chain_1, "", kLease, {}));
  ASSERT_TRUE(backend_->unpack_layer(descriptor(second, type), chain_1, chain_2,
                                     sha256_digest(second), kLease, {}));
  EXPECT_TRUE(*backend_->has_snapshot(chain_1) && *backend_->has_snapshot(chain_2));
  for (int twice = 0; twice < 2; ++twice) {
    const Status kept = backend_->keep_snapshot(chain_2);
    ASSERT_TRUE(kept) << kept.error().full();
  }
  for (const std::string& chain : {chain_1, chain_2}) {
    EXPECT_THAT(client_->snapshots().stat(chain)->labels, IsEmpty());
    EXPECT_TRUE(*backend_->has_snapshot(chain));
  }
  EXPECT_EQ(backend_->stat_blob(sha256_digest(second))->labels[kUncompressedLabel],
            sha256_digest(second));
  EXPECT_EQ(backend_->keep_snapshot(sha256_digest("none")).error().code(), Code::NotFound);
}

// As an agent leaves it that is killed before it has synced what it unpacked.
TEST_F(ContainerdBackend, UnpacksAgainWhatAnEarlierLifeDidNotSync) {
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  const std::string layer = tiny_layer("whole");
  ingest("layer", layer);
  const std::string below = sha256_digest(random_hex(8)), above = sha256_digest(random_hex(8));
  Snapshots& snapshots = client_->snapshots();
  const auto leave = [&](const std::string& chain, const std::string& parent) {
    ASSERT_TRUE(snapshots.prepare("draft", parent, {}, kLease));
    ASSERT_TRUE(snapshots.commit(chain, "draft", kLease, {{"wherry/unsynced", "true"}}));
  };
  leave(below, "");
  leave(above, below);
  ASSERT_TRUE(snapshots.prepare("half made", above, {}, kLease));
  EXPECT_FALSE(*backend_->has_snapshot(below) || *backend_->has_snapshot(above));
  EXPECT_EQ(backend_->keep_snapshot(above).error().code(), Code::NotFound);

  Status unpacked = backend_->unpack_layer(descriptor(layer, type), "", below, "", kLease, {});
  ASSERT_TRUE(unpacked) << unpacked.error().full();
  ASSERT_TRUE(backend_->keep_snapshot(below));
  EXPECT_TRUE(*backend_->has_snapshot(below));
  EXPECT_FALSE(snapshots.stat(above)) << "it was built on what is gone";
  EXPECT_FALSE(snapshots.stat("half made"));
  const auto mounts = snapshots.view(random_hex(8), below, kLease);
  ASSERT_TRUE(mounts) << mounts.error().full();
  EXPECT_TRUE(std::filesystem::exists((*mounts)[0].source + "/whole"));

  leave(above, below);
  ASSERT_TRUE(snapshots.prepare("container", above, {}, kLease));
  unpacked = backend_->unpack_layer(descriptor(layer, type), below, above, "", kLease, {});
  EXPECT_EQ(unpacked.error().code(), Code::Unavailable) << unpacked.error().full();
  EXPECT_TRUE(snapshots.stat("container")) << "none of ours: nobody knows who needs it";
}

// A power cut takes the file, or its end, and leaves the record: the layer is not there, and the
// next attempt brings it.
TEST_F(ContainerdBackend, ALayerWhoseFileIsGoneOrCutIsRemovedToBeFetchedAgain) {
  Gate gate;
  for (const bool gone : {true, false}) {
    const std::string layer = tiny_layer(gone ? "gone" : "cut");
    ImageLayout layout;
    layout.content.layers = {descriptor(layer, "application/vnd.oci.image.layer.v1.tar")};
    layout.diff_ids = {sha256_digest(layer)};
    layout.chains = {sha256_digest(layer)};
    ingest("layer", layer);
    const std::string file = daemon_->root() + "/io.containerd.content.v1.content/blobs/sha256/" +
                             sha256_digest(layer).substr(7);
    ASSERT_TRUE(std::filesystem::exists(file)) << file;
    gone ? std::filesystem::remove(file), void() : std::filesystem::resize_file(file, 700);
    ASSERT_TRUE(backend_->stat_blob(sha256_digest(layer))) << "it does not notice by itself";

    const Status failed = unpack_one(*backend_, gate, layout, 0, kLease, {});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().reason(), kContentDamaged) << failed.error().full();
    EXPECT_EQ(backend_->stat_blob(sha256_digest(layer)).error().code(), Code::NotFound);
    ingest("layer", layer);
    const Status unpacked = unpack_one(*backend_, gate, layout, 0, kLease, {});
    EXPECT_TRUE(unpacked) << unpacked.error().full();
  }
}

// What the collector has removed stays in containerd's books as a child that nobody can see.
TEST_F(ContainerdBackend, UnpacksAgainWhatHadAChildThatWasCollected) {
  const std::string type = "application/vnd.oci.image.layer.v1.tar";
  const std::string layer = tiny_layer("collected");
  ingest("layer", layer);
  const std::string chain = sha256_digest(random_hex(8));
  Snapshots& snapshots = client_->snapshots();
  ASSERT_TRUE(snapshots.prepare("draft", "", {}, kLease));
  ASSERT_TRUE(snapshots.commit(chain, "draft", kLease, {{"wherry/unsynced", "true"}}));
  ASSERT_TRUE(backend_->create_lease("earlier", std::chrono::hours(1)));
  ASSERT_TRUE(snapshots.prepare("half made", chain, {}, "earlier"));
  ASSERT_TRUE(backend_->share_lease("earlier", kLease));
  ASSERT_TRUE(backend_->drop_lease("earlier", true));
  ASSERT_FALSE(snapshots.stat("half made"));
  EXPECT_EQ(snapshots.remove(chain).error().code(), Code::FailedPrecondition)
      << "not needed any more";

  const Status unpacked =
      backend_->unpack_layer(descriptor(layer, type), "", chain, "", kLease, {});
  ASSERT_TRUE(unpacked) << unpacked.error().full();
  ASSERT_TRUE(backend_->keep_snapshot(chain));
  EXPECT_TRUE(*backend_->has_snapshot(chain));
  const auto mounts = snapshots.view(random_hex(8), chain, kLease);
  ASSERT_TRUE(mounts) << mounts.error().full();
  EXPECT_TRUE(std::filesystem::exists((*mounts)[0].source + "/collected"));
}

}  // namespace
}  // namespace wherry::runtime
