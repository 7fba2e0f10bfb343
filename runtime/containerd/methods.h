#pragma once
// Every remote method we call. tests/contract proves paths, messages and fields against the
// distribution's own .proto files. Internal to runtime/containerd.

#include "containers.pb.h"
#include "content.pb.h"
#include "diff.pb.h"
#include "events.pb.h"
#include "images.pb.h"
#include "introspection.pb.h"
#include "leases.pb.h"
#include "runtime/containerd/transport.h"
#include "snapshots.pb.h"
#include "tasks.pb.h"
#include "version.pb.h"

namespace wherry::runtime::rpc {

namespace containers = ::containerd::services::containers::v1;
namespace content = ::containerd::services::content::v1;
namespace diff = ::containerd::services::diff::v1;
namespace events = ::containerd::services::events::v1;
namespace images = ::containerd::services::images::v1;
namespace introspection = ::containerd::services::introspection::v1;
namespace leases = ::containerd::services::leases::v1;
namespace snapshots = ::containerd::services::snapshots::v1;
namespace tasks = ::containerd::services::tasks::v1;
namespace version = ::containerd::services::version::v1;
using ::wherry::wellknown::Empty;

// clang-format off
inline constexpr Method<Empty, version::VersionResponse> kVersion{"/containerd.services.version.v1.Version/Version"};

inline constexpr Method<containers::GetContainerRequest, containers::GetContainerResponse> kContainerGet{"/containerd.services.containers.v1.Containers/Get"};
inline constexpr Method<containers::ListContainersRequest, containers::ListContainerMessage> kContainerList{"/containerd.services.containers.v1.Containers/ListStream"};
inline constexpr Method<containers::CreateContainerRequest, containers::CreateContainerResponse> kContainerCreate{"/containerd.services.containers.v1.Containers/Create"};
inline constexpr Method<containers::UpdateContainerRequest, containers::UpdateContainerResponse> kContainerUpdate{"/containerd.services.containers.v1.Containers/Update"};
inline constexpr Method<containers::DeleteContainerRequest, Empty> kContainerDelete{"/containerd.services.containers.v1.Containers/Delete"};

inline constexpr Method<tasks::CreateTaskRequest, tasks::CreateTaskResponse> kTaskCreate{"/containerd.services.tasks.v1.Tasks/Create"};
inline constexpr Method<tasks::StartRequest, tasks::StartResponse> kTaskStart{"/containerd.services.tasks.v1.Tasks/Start"};
inline constexpr Method<tasks::DeleteTaskRequest, tasks::DeleteResponse> kTaskDelete{"/containerd.services.tasks.v1.Tasks/Delete"};
inline constexpr Method<tasks::GetRequest, tasks::GetResponse> kTaskGet{"/containerd.services.tasks.v1.Tasks/Get"};
inline constexpr Method<tasks::ListTasksRequest, tasks::ListTasksResponse> kTaskList{"/containerd.services.tasks.v1.Tasks/List"};
inline constexpr Method<tasks::KillRequest, Empty> kTaskKill{"/containerd.services.tasks.v1.Tasks/Kill"};
inline constexpr Method<tasks::WaitRequest, tasks::WaitResponse> kTaskWait{"/containerd.services.tasks.v1.Tasks/Wait"};
inline constexpr Method<tasks::UpdateTaskRequest, Empty> kTaskUpdate{"/containerd.services.tasks.v1.Tasks/Update"};
inline constexpr Method<tasks::ExecProcessRequest, Empty> kTaskExec{"/containerd.services.tasks.v1.Tasks/Exec"};
inline constexpr Method<tasks::DeleteProcessRequest, tasks::DeleteResponse> kTaskDeleteProcess{"/containerd.services.tasks.v1.Tasks/DeleteProcess"};

inline constexpr Method<snapshots::PrepareSnapshotRequest, snapshots::PrepareSnapshotResponse> kSnapshotPrepare{"/containerd.services.snapshots.v1.Snapshots/Prepare"};
inline constexpr Method<snapshots::ViewSnapshotRequest, snapshots::ViewSnapshotResponse> kSnapshotView{"/containerd.services.snapshots.v1.Snapshots/View"};
inline constexpr Method<snapshots::MountsRequest, snapshots::MountsResponse> kSnapshotMounts{"/containerd.services.snapshots.v1.Snapshots/Mounts"};
inline constexpr Method<snapshots::CommitSnapshotRequest, Empty> kSnapshotCommit{"/containerd.services.snapshots.v1.Snapshots/Commit"};
inline constexpr Method<snapshots::RemoveSnapshotRequest, Empty> kSnapshotRemove{"/containerd.services.snapshots.v1.Snapshots/Remove"};
inline constexpr Method<snapshots::StatSnapshotRequest, snapshots::StatSnapshotResponse> kSnapshotStat{"/containerd.services.snapshots.v1.Snapshots/Stat"};
inline constexpr Method<snapshots::UpdateSnapshotRequest, snapshots::UpdateSnapshotResponse> kSnapshotUpdate{"/containerd.services.snapshots.v1.Snapshots/Update"};
inline constexpr Method<snapshots::ListSnapshotsRequest, snapshots::ListSnapshotsResponse> kSnapshotList{"/containerd.services.snapshots.v1.Snapshots/List"};
inline constexpr Method<snapshots::UsageRequest, snapshots::UsageResponse> kSnapshotUsage{"/containerd.services.snapshots.v1.Snapshots/Usage"};

inline constexpr Method<diff::ApplyRequest, diff::ApplyResponse> kDiffApply{"/containerd.services.diff.v1.Diff/Apply"};

inline constexpr Method<introspection::PluginsRequest, introspection::PluginsResponse> kPlugins{"/containerd.services.introspection.v1.Introspection/Plugins"};

inline constexpr Method<content::InfoRequest, content::InfoResponse> kContentInfo{"/containerd.services.content.v1.Content/Info"};
inline constexpr Method<content::UpdateRequest, content::UpdateResponse> kContentUpdate{"/containerd.services.content.v1.Content/Update"};
inline constexpr Method<content::DeleteContentRequest, Empty> kContentDelete{"/containerd.services.content.v1.Content/Delete"};
inline constexpr Method<content::ReadContentRequest, content::ReadContentResponse> kContentRead{"/containerd.services.content.v1.Content/Read"};
inline constexpr Method<content::WriteContentRequest, content::WriteContentResponse> kContentWrite{"/containerd.services.content.v1.Content/Write"};
inline constexpr Method<content::StatusRequest, content::StatusResponse> kContentStatus{"/containerd.services.content.v1.Content/Status"};
inline constexpr Method<content::AbortRequest, Empty> kContentAbort{"/containerd.services.content.v1.Content/Abort"};

inline constexpr Method<images::GetImageRequest, images::GetImageResponse> kImageGet{"/containerd.services.images.v1.Images/Get"};
inline constexpr Method<images::ListImagesRequest, images::ListImagesResponse> kImageList{"/containerd.services.images.v1.Images/List"};
inline constexpr Method<images::CreateImageRequest, images::CreateImageResponse> kImageCreate{"/containerd.services.images.v1.Images/Create"};
inline constexpr Method<images::UpdateImageRequest, images::UpdateImageResponse> kImageUpdate{"/containerd.services.images.v1.Images/Update"};
inline constexpr Method<images::DeleteImageRequest, Empty> kImageDelete{"/containerd.services.images.v1.Images/Delete"};

inline constexpr Method<leases::CreateRequest, leases::CreateResponse> kLeaseCreate{"/containerd.services.leases.v1.Leases/Create"};
inline constexpr Method<leases::DeleteRequest, Empty> kLeaseDelete{"/containerd.services.leases.v1.Leases/Delete"};
inline constexpr Method<leases::ListRequest, leases::ListResponse> kLeaseList{"/containerd.services.leases.v1.Leases/List"};
inline constexpr Method<leases::AddResourceRequest, Empty> kLeaseAdd{"/containerd.services.leases.v1.Leases/AddResource"};
inline constexpr Method<leases::DeleteResourceRequest, Empty> kLeaseTakeOff{"/containerd.services.leases.v1.Leases/DeleteResource"};
inline constexpr Method<leases::ListResourcesRequest, leases::ListResourcesResponse> kLeaseResources{"/containerd.services.leases.v1.Leases/ListResources"};

inline constexpr Method<events::PublishRequest, Empty> kEventPublish{"/containerd.services.events.v1.Events/Publish"};
inline constexpr Method<events::SubscribeRequest, events::Envelope> kEventSubscribe{"/containerd.services.events.v1.Events/Subscribe"};
// clang-format on

}  // namespace wherry::runtime::rpc
