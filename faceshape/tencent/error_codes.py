"""The error codes of AnalyzeFace with the cloud's words: pure data.

The Chinese messages are the API document's (section 6, word for word); the document has no
English ones, those are translations.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["DOCUMENT_CODES", "Message"]


class Message(NamedTuple):
    """What a code says, in the two languages that the cloud answers in."""

    chinese: str
    english: str


DOCUMENT_CODES: Mapping[str, Message] = MappingProxyType(
    {
        "AuthFailure.InvalidAuthorization": Message("认证失败。", "Authentication failed."),
        "FailedOperation.ConflictOperation": Message(
            "操作冲突,请勿同时操作相同的Person。",
            "Conflicting operation: do not operate on the same Person at the same time.",
        ),
        "FailedOperation.DuplicatedGroupDescription": Message(
            "同一人员库中自定义描述字段不可重复。",
            "The custom descriptions of a group must differ from each other.",
        ),
        "FailedOperation.FaceSizeTooSmall": Message(
            "人脸框大小小于MinFaceSize设置,人脸被过滤。",
            "The face is smaller than MinFaceSize and was filtered out.",
        ),
        "FailedOperation.GroupInDeletedState": Message(
            "当前组正处于删除状态,请等待。",
            "The group is being deleted; please wait.",
        ),
        "FailedOperation.GroupPersonMapExist": Message(
            "组中已包含对应的人员Id。",
            "The group already contains this person.",
        ),
        "FailedOperation.GroupPersonMapNotExist": Message(
            "组中不包含对应的人员Id。",
            "The group does not contain this person.",
        ),
        "FailedOperation.ImageDecodeFailed": Message(
            "图片解码失败。",
            "The image could not be decoded.",
        ),
        "FailedOperation.ImageDownloadError": Message(
            "图片下载错误。",
            "The image could not be downloaded.",
        ),
        "FailedOperation.ImageFacedetectFailed": Message(
            "人脸检测失败。",
            "Face detection failed.",
        ),
        "FailedOperation.ImageResolutionExceed": Message(
            "图片分辨率过大。",
            "The resolution of the image is too high.",
        ),
        "FailedOperation.ImageResolutionTooSmall": Message(
            "图片短边分辨率小于64。",
            "The short side of the image is below 64 pixels.",
        ),
        "FailedOperation.ImageSizeExceed": Message(
            "base64编码后的图片数据大小不超过5M。",
            "The base64 encoded image must not exceed 5 MB.",
        ),
        "FailedOperation.RequestTimeout": Message(
            "后端服务超时。",
            "The backend service timed out.",
        ),
        "FailedOperation.SearchFacesExceed": Message(
            "检索人脸个数超过限制。",
            "Too many faces to search for.",
        ),
        "FailedOperation.ServerError": Message(
            "算法服务异常,请重试。",
            "The algorithm service failed; please try again.",
        ),
        "FailedOperation.UnKnowError": Message("内部错误。", "Internal error."),
        "InternalError": Message("内部错误。", "Internal error."),
        "InvalidParameter.InvalidParameter": Message("参数不合法。", "The parameter is not valid."),
        "InvalidParameterValue.AccountFaceNumExceed": Message(
            "账号脸数量超出限制。",
            "The account holds too many faces.",
        ),
        "InvalidParameterValue.DeleteFaceNumExceed": Message(
            "删除人脸数量超出限制。每个人员至少需要包含一张人脸。",
            "Too many faces to delete: each person must keep at least one.",
        ),
        "InvalidParameterValue.FaceModelVersionIllegal": Message(
            "算法模型版本不合法。",
            "The algorithm model version is not valid.",
        ),
        "InvalidParameterValue.GroupExDescriptionsExceed": Message(
            "人员库自定义描述字段数组长度超过限制。最多可以创建5个。",
            "A group can have at most 5 custom descriptions.",
        ),
        "InvalidParameterValue.GroupExDescriptionsNameIdentical": Message(
            "人员库自定义描述字段名称不可重复。",
            "The names of a group's custom descriptions must differ.",
        ),
        "InvalidParameterValue.GroupExDescriptionsNameIllegal": Message(
            "人员库自定义描述字段名称包含非法字符。人员库自定义描述字段名称只支持中英文、-、_、数字。",
            "The name of a custom description has illegal characters: only Chinese, "
            "English, -, _ and digits are allowed.",
        ),
        "InvalidParameterValue.GroupExDescriptionsNameTooLong": Message(
            "人员库自定义描述字段名称长度超出限制。",
            "The name of a custom description is too long.",
        ),
        "InvalidParameterValue.GroupFaceNumExceed": Message(
            "人员库人脸数量超出限制。",
            "The group holds too many faces.",
        ),
        "InvalidParameterValue.GroupIdAlreadyExist": Message(
            "人员库ID已经存在。人员库ID不可重复。",
            "The group ID exists already; it must be unique.",
        ),
        "InvalidParameterValue.GroupIdIllegal": Message(
            "人员库ID包含非法字符。人员库ID只支持英文、数字、-%@#&_。",
            "The group ID has illegal characters: only letters, digits and -%@#&_ are allowed.",
        ),
        "InvalidParameterValue.GroupIdNotExist": Message(
            "人员库ID不存在。",
            "The group ID does not exist.",
        ),
        "InvalidParameterValue.GroupIdTooLong": Message(
            "人员库ID超出长度限制。",
            "The group ID is too long.",
        ),
        "InvalidParameterValue.GroupIdsExceed": Message(
            "传入的人员库列表超过限制。",
            "The list of groups is too long.",
        ),
        "InvalidParameterValue.GroupNameAlreadyExist": Message(
            "人员库名称已经存在。人员库名称不可重复。",
            "The group name exists already; it must be unique.",
        ),
        "InvalidParameterValue.GroupNameIllegal": Message(
            "人员库名称包含非法字符。人员库名称只支持中英文、-、_、数字。",
            "The group name has illegal characters: only Chinese, English, -, _ and "
            "digits are allowed.",
        ),
        "InvalidParameterValue.GroupNameTooLong": Message(
            "人员库名称超出长度限制。",
            "The group name is too long.",
        ),
        "InvalidParameterValue.GroupNumExceed": Message(
            "人员库数量超出限制。如需增加,请联系我们。",
            "There are too many groups; contact us if you need more.",
        ),
        "InvalidParameterValue.GroupNumPerPersonExceed": Message(
            "人员库数量超出限制。单个人员最多可被添加至100个人员库。",
            "A person can be in at most 100 groups.",
        ),
        "InvalidParameterValue.GroupTagIllegal": Message(
            "人员库备注包含非法字符。人员库备注只支持中英文、-、_、数字。",
            "The group tag has illegal characters: only Chinese, English, -, _ and "
            "digits are allowed.",
        ),
        "InvalidParameterValue.GroupTagTooLong": Message(
            "人员库备注超出长度限制。",
            "The group tag is too long.",
        ),
        "InvalidParameterValue.ImageEmpty": Message("图片为空。", "The image is empty."),
        "InvalidParameterValue.LimitExceed": Message(
            "返回数量超出限制。",
            "Too many results were asked for.",
        ),
        "InvalidParameterValue.NoFaceInGroups": Message(
            "指定分组中没有人脸。",
            "There is no face in the given groups.",
        ),
        "InvalidParameterValue.NoFaceInPhoto": Message(
            "图片中没有人脸。",
            "There is no face in the photo.",
        ),
        "InvalidParameterValue.OffsetExceed": Message(
            "起始序号过大。请检查需要请求的数组长度。",
            "The offset is too large; check the length of the array.",
        ),
        "InvalidParameterValue.PersonExDescriptionInfosExceed": Message(
            "人员自定义描述字段数组长度超过限制。最多5个。",
            "A person can have at most 5 custom descriptions.",
        ),
        "InvalidParameterValue.PersonExDescriptionsNameIdentical": Message(
            "人员自定义描述字段名称不可重复。",
            "The names of a person's custom descriptions must differ.",
        ),
        "InvalidParameterValue.PersonExDescriptionsNameIllegal": Message(
            "人员自定义描述字段名称包含非法字符。人员自定义描述字段名称只支持中英文、-、_、数字。",
            "The name of a person's custom description has illegal characters: only "
            "Chinese, English, -, _ and digits are allowed.",
        ),
        "InvalidParameterValue.PersonExDescriptionsNameTooLong": Message(
            "人员自定义描述字段名称长度超出限制。",
            "The name of a person's custom description is too long.",
        ),
        "InvalidParameterValue.PersonExistInGroup": Message(
            "组中已包含对应的人员Id。",
            "The group already contains this person.",
        ),
        "InvalidParameterValue.PersonFaceNumExceed": Message(
            "人员人脸数量超出限制。单个人员最多可以包含五张人脸。",
            "A person can have at most 5 faces.",
        ),
        "InvalidParameterValue.PersonGenderIllegal": Message(
            "人员性别设置出错。0代表未填写,1代表男性,2代表女性。",
            "The gender is not valid: 0 is not given, 1 male, 2 female.",
        ),
        "InvalidParameterValue.PersonIdAlreadyExist": Message(
            "人员ID已经存在。人员ID不可重复。",
            "The person ID exists already; it must be unique.",
        ),
        "InvalidParameterValue.PersonIdIllegal": Message(
            "人员ID包含非法字符。人员ID只支持英文、数字、-%@#&_。",
            "The person ID has illegal characters: only letters, digits and -%@#&_ are allowed.",
        ),
        "InvalidParameterValue.PersonIdNotExist": Message(
            "人员ID不存在。",
            "The person ID does not exist.",
        ),
        "InvalidParameterValue.PersonIdTooLong": Message(
            "人员ID超出长度限制。",
            "The person ID is too long.",
        ),
        "InvalidParameterValue.PersonNameIllegal": Message(
            "人员名称包含非法字符。人员名称只支持中英文、-、_、数字。",
            "The person's name has illegal characters: only Chinese, English, -, _ and "
            "digits are allowed.",
        ),
        "InvalidParameterValue.PersonNameTooLong": Message(
            "人员名称超出长度限制。",
            "The person's name is too long.",
        ),
        "InvalidParameterValue.SearchPersonsExceed": Message(
            "搜索的人员数目超过限制。",
            "Too many persons to search for.",
        ),
        "InvalidParameterValue.UploadFaceNumExceed": Message(
            "一次最多上传四张人脸。",
            "At most four faces can be uploaded at a time.",
        ),
        "InvalidParameterValue.UrlIllegal": Message(
            "URL格式不合法。",
            "The format of the URL is not valid.",
        ),
        "LimitExceeded.ErrorFaceNumExceed": Message(
            "人脸个数超过限制。",
            "There are too many faces.",
        ),
        "MissingParameter.ErrorParameterEmpty": Message(
            "必选参数为空。",
            "A required parameter is empty.",
        ),
        "ResourceUnavailable.Delivering": Message(
            "资源正在发货中。",
            "The resource is being delivered.",
        ),
        "ResourceUnavailable.Freeze": Message("账号已被冻结。", "The account is frozen."),
        "ResourceUnavailable.InArrears": Message("账号已欠费。", "The account is in arrears."),
        "ResourceUnavailable.NotExist": Message(
            "计费状态未知,请确认是否已在控制台开通服务。",
            "The billing status is unknown; check in the console that the service is activated.",
        ),
        "ResourceUnavailable.Recover": Message(
            "资源已被回收。",
            "The resource has been reclaimed.",
        ),
        "ResourceUnavailable.StopUsing": Message("账号已停服。", "The account is suspended."),
        "ResourceUnavailable.UnknownStatus": Message(
            "计费状态未知。",
            "The billing status is unknown.",
        ),
        "ResourcesSoldOut.ChargeStatusException": Message(
            "计费状态异常。",
            "The billing status is abnormal.",
        ),
        "UnsupportedOperation.UnknowMethod": Message("未知方法名。", "The method name is unknown."),
    }
)
"""Code → message, all that section 6 of the document lists."""
